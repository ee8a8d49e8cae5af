//! What all components share: how one is started, recognised, watched and stopped.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::pulse::with_pulse;

/// From the start of a process to its first answer; Connect needs most on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(180);
/// From the polite signal to SIGKILL.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// A process that was killed a moment ago may still hold its ports.
const PORT_LIMIT: Duration = Duration::from_secs(2);
/// A database killed a moment ago may leave children that still hold its lock.
const RESPAWNS: u32 = 2;
const RESPAWN_PAUSE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(100);
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// One server of the stack, with everything it owns in `home`.
pub(crate) trait Component: Sync {
    fn name(&self) -> &str;
    fn home(&self) -> &Path;
    /// All on 127.0.0.1.
    fn ports(&self) -> Vec<u16>;
    /// File name of its program, and an argument that only this checkout's process has.
    fn mark(&self) -> (&'static str, PathBuf);
    /// Makes configuration and data; called with both absent.
    fn initialise(&self) -> anyhow::Result<()>;
    fn command(&self) -> anyhow::Result<Command>;
    /// True once it does what it is there for, not merely listens.
    fn answers(&self) -> bool;
    fn endpoints(&self) -> Vec<String>;

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    fn log(&self) -> PathBuf {
        self.home().join(self.name()).with_extension("log")
    }

    fn stop_signal(&self) -> &'static str {
        "TERM"
    }

    fn needs_jars(&self) -> bool {
        false
    }
}

/// False if it gave up because another component had failed.
pub(crate) fn start(component: &dyn Component, abandoned: &AtomicBool) -> anyhow::Result<bool> {
    let began = Instant::now();
    let name = component.name();
    let mut respawns = RESPAWNS;
    let mut child = match running(component) {
        Some(_) => None,
        None => {
            prepare(component)?;
            Some(spawn(component)?)
        }
    };
    while !component.answers() {
        if abandoned.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if began.elapsed() > START_LIMIT {
            let limit = START_LIMIT.as_secs();
            bail!(
                "{name} does not answer after {limit} s; {}",
                last_lines(&component.log())
            );
        }
        thread::sleep(POLL);
        if lives(component, child.as_mut()) {
            continue;
        }
        if respawns == 0 {
            bail!(
                "{name} ended before it answered; {}",
                last_lines(&component.log())
            );
        }
        respawns -= 1;
        thread::sleep(RESPAWN_PAUSE);
        child = Some(spawn(component)?);
    }
    println!(
        "{name} answers after {:.1} s",
        began.elapsed().as_secs_f32()
    );
    Ok(true)
}

/// False if it was not running.
pub(crate) fn stop(component: &dyn Component) -> anyhow::Result<bool> {
    let mut stopped = false;
    while let Some(pid) = running(component) {
        let signals = [component.stop_signal(), "KILL"];
        if !signals.iter().any(|name| ends_by(name, pid, component)) {
            bail!("{} (pid {pid}) does not go away", component.name());
        }
        stopped = true;
    }
    Ok(stopped)
}

/// Deletes the data; the log stays until the next start.
pub(crate) fn wipe(component: &dyn Component) -> anyhow::Result<()> {
    for path in [made_file(component), pid_file(component)] {
        absent(fs::remove_file(&path), &path)?;
    }
    let data = component.data();
    absent(fs::remove_dir_all(&data), &data)
}

/// Its pid. The pid file is only a hint: a process is ours by its arguments, so neither a stale
/// file nor one lost to `cargo clean` misleads.
pub(crate) fn running(component: &dyn Component) -> Option<u32> {
    let noted = fs::read_to_string(pid_file(component)).ok();
    let noted = noted.and_then(|pid| pid.trim().parse().ok());
    noted
        .into_iter()
        .chain(all_pids())
        .find(|pid| is(*pid, component))
}

pub(crate) fn check_ports(component: &dyn Component) -> anyhow::Result<()> {
    if running(component).is_some() {
        return Ok(());
    }
    for port in component.ports() {
        let is_free = || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if !within(PORT_LIMIT, is_free) {
            bail!(
                "port {port}, which {} needs, is taken: stop the program that `ss -ltnp` shows there, \
                 or, if it is the stack of another checkout, run `cargo xtask stack down` in that one",
                component.name()
            );
        }
    }
    Ok(())
}

/// Runs a tool to its end with its output in `log`; `input` is a file.
pub(crate) fn run(command: &mut Command, input: Option<&Path>, log: &Path) -> anyhow::Result<()> {
    let input = match input {
        Some(path) => File::open(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .into(),
        None => Stdio::null(),
    };
    let program = command.get_program().display().to_string();
    let command = log_to(command, log)?.stdin(input);
    let status = with_pulse(&format!("{program} (log {})", log.display()), || {
        command.status()
    })
    .with_context(|| format!("{program} does not start"))?;
    if !status.success() {
        bail!("{program} failed ({status}); {}", last_lines(log));
    }
    Ok(())
}

/// Whether a client program gets its answer.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A connection whose reads and writes end within `PROBE_LIMIT`.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PROBE_LIMIT)?;
    stream.set_read_timeout(Some(PROBE_LIMIT))?;
    stream.set_write_timeout(Some(PROBE_LIMIT))?;
    Ok(stream)
}

/// Writes a file of the component's home, naming it if that fails.
pub(crate) fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// A home without the "made" file is the rest of an interrupted start: it begins anew.
fn prepare(component: &dyn Component) -> anyhow::Result<()> {
    if made_file(component).exists() && component.data().exists() {
        return Ok(());
    }
    wipe(component)?;
    let home = component.home();
    absent(fs::remove_dir_all(home), home)?;
    fs::create_dir_all(home).with_context(|| format!("cannot create {}", home.display()))?;
    component.initialise()?;
    write(&made_file(component), "")
}

/// In a process group of its own, so neither the end of xtask nor Ctrl-C reaches it.
fn spawn(component: &dyn Component) -> anyhow::Result<Child> {
    let mut command = component.command()?;
    let child = log_to(&mut command, &component.log())?
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} does not start", component.name()))?;
    write(&pid_file(component), &format!("{}\n", child.id()))?;
    Ok(child)
}

/// A child of ours is asked itself: its arguments are not readable yet in the moment of its start.
fn lives(component: &dyn Component, child: Option<&mut Child>) -> bool {
    match child {
        Some(child) => child.try_wait().is_ok_and(|ended| ended.is_none()),
        None => running(component).is_some(),
    }
}

fn log_to<'a>(command: &'a mut Command, log: &Path) -> anyhow::Result<&'a mut Command> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    Ok(command.stdout(file.try_clone()?).stderr(file))
}

fn is(pid: u32, component: &dyn Component) -> bool {
    // Empty for a zombie.
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let arguments: Vec<PathBuf> = line
        .split(|byte| *byte == 0)
        .map(|argument| OsString::from_vec(argument.to_vec()).into())
        .collect();
    let (program, argument) = component.mark();
    arguments
        .first()
        .is_some_and(|first| first.ends_with(program))
        && arguments.contains(&argument)
}

fn all_pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// By the shell's own `kill`: slim images have no program of that name.
fn ends_by(signal: &str, pid: u32, component: &dyn Component) -> bool {
    let kill = format!("kill -s {signal} {pid}");
    succeeds(Command::new("sh").args(["-c", &kill]));
    within(STOP_LIMIT, || !is(pid, component))
}

fn within(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(20)..].join("\n");
    format!("{} ends with:\n{end}", log.display())
}

fn made_file(component: &dyn Component) -> PathBuf {
    component.home().join("made")
}

fn pid_file(component: &dyn Component) -> PathBuf {
    component.home().join("pid")
}

/// Deleted now or not there before.
pub(crate) fn absent(removed: io::Result<()>, path: &Path) -> anyhow::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot delete {}", path.display()))
        }
        _ => Ok(()),
    }
}
