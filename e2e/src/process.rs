use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::eventually::{eventually, within};
use crate::http::Http;

/// From the start of a process to its readiness, on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);
const LAST_LINES: usize = 15;

#[derive(Debug, Clone, Copy)]
pub enum Signal {
    /// What `kill` sends by default.
    Terminate,
    /// What Ctrl-C sends.
    Interrupt,
    /// Freezes it until it is thawed: it runs no further and knows nothing of it.
    Freeze,
    Thaw,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Freeze => "STOP",
            Self::Thaw => "CONT",
        }
    }
}

/// A program of the pair, killed when dropped. It can be started again, with the same
/// settings on the same port.
pub struct Process {
    name: String,
    log: PathBuf,
    state: Mutex<State>,
}

struct State {
    command: Command,
    /// Where in the log its last start is.
    log_begins: usize,
    child: Option<Child>,
    /// The pid of one that somebody else has started.
    adopted: Option<u32>,
}

impl Process {
    /// Starts it; what it prints goes to `<folder>/<name>.log`.
    pub fn start(name: &str, command: Command, folder: &Path) -> anyhow::Result<Self> {
        let process = Self {
            name: name.to_owned(),
            log: folder.join(name).with_extension("log"),
            state: Mutex::new(State {
                command,
                log_begins: 0,
                child: None,
                adopted: None,
            }),
        };
        process.start_again()?;
        Ok(process)
    }

    /// One that runs already, and which a restart starts as it was started: program,
    /// arguments, environment, folder and log. It outlives this value unless restarted.
    pub fn adopt(name: &str, pid: u32) -> anyhow::Result<Self> {
        let running = PathBuf::from(format!("/proc/{pid}"));
        let words = |file: &str| -> anyhow::Result<Vec<OsString>> {
            let bytes = std::fs::read(running.join(file))?;
            let words = bytes
                .split(|byte| *byte == 0)
                .filter(|word| !word.is_empty());
            Ok(words
                .map(|word| OsString::from_vec(word.to_vec()))
                .collect())
        };
        let state = || {
            let mut command = Command::new(words("cmdline")?.first().context("it has ended")?);
            command
                .args(words("cmdline")?.iter().skip(1))
                .current_dir(std::fs::read_link(running.join("cwd"))?)
                .env_clear()
                // Ctrl-C reaches it as little as before.
                .process_group(0);
            for variable in words("environ")? {
                let variable = variable.into_vec();
                let mut parts = variable.splitn(2, |byte| *byte == b'=');
                if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                    command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
                }
            }
            anyhow::Ok(State {
                command,
                log_begins: 0,
                child: None,
                adopted: Some(pid),
            })
        };
        Ok(Self {
            name: name.to_owned(),
            log: std::fs::read_link(running.join("fd/1"))?,
            state: Mutex::new(state().with_context(|| format!("{name}, pid {pid}"))?),
        })
    }

    pub fn start_again(&self) -> anyhow::Result<()> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let begins = usize::try_from(log.metadata()?.len())?;
        self.with(|state| {
            let runs = state.child.is_some() || state.adopted.is_some();
            ensure!(!runs, "{} runs already", self.name);
            state
                .command
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log);
            state.log_begins = begins;
            let child = state.command.spawn();
            state.child = Some(child.with_context(|| format!("{} does not start", self.name))?);
            Ok(())
        })
    }

    /// Sends a signal and waits for nothing.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(signal.name(), self.id()?)
    }

    /// From the next start on, what happens at its crash points (see `shared::crash_point`).
    pub fn arm(&self, failpoints: Option<&str>) -> anyhow::Result<()> {
        self.set("FAILPOINTS", failpoints)
    }

    /// An environment variable, from the next start on.
    pub fn set(&self, variable: &str, value: Option<&str>) -> anyhow::Result<()> {
        self.with(|state| {
            match value {
                Some(value) => state.command.env(variable, value),
                None => state.command.env_remove(variable),
            };
            Ok(())
        })
    }

    /// Waits until it is at a crash point that it was armed with.
    pub async fn reaches(&self, point: &str) -> anyhow::Result<()> {
        self.reaches_time(1, point).await
    }

    /// Waits until it is at an armed crash point for the `time`th time since its start.
    pub async fn reaches_time(&self, time: usize, point: &str) -> anyhow::Result<()> {
        let line = format!("crash point {point} reached");
        let what = format!(
            "{} reaches {point} (built with `--features failpoints`, as `cargo xtask test` does?)",
            self.name
        );
        eventually(&what, async || {
            let begins = self.with(|state| Ok(state.log_begins))?;
            let log = std::fs::read(&self.log)?;
            let since_start = String::from_utf8_lossy(&log[begins..]);
            Ok((since_start.matches(&line).count() >= time).then_some(()))
        })
        .await
    }

    /// As by `kill -9`: it has no say in it.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.with(|state| {
            if let Some(pid) = state.adopted.take() {
                return kill_adopted(pid);
            }
            let mut child = state.child.take().context("it does not run")?;
            child.kill()?;
            child.wait()?;
            Ok(())
        })
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(&self, signal: Signal, patience: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(signal)?;
        within(patience, &format!("{} stops", self.name), async || {
            self.ended()
        })
        .await
    }

    /// Its process id.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.with(|state| {
            let own = state.child.as_ref().map(Child::id);
            own.or(state.adopted).context("it does not run")
        })
    }

    /// Its exit status once it has ended.
    pub fn ended(&self) -> anyhow::Result<Option<ExitStatus>> {
        self.with(|state| {
            let status = match &mut state.child {
                Some(child) => child.try_wait()?,
                None => None,
            };
            if status.is_some() {
                state.child = None;
            }
            Ok(status)
        })
    }

    pub fn is_running(&self) -> anyhow::Result<bool> {
        self.with(|state| match &mut state.child {
            Some(child) => Ok(child.try_wait()?.is_none()),
            None => Ok(false),
        })
    }

    /// Waits until `/readyz` says `ready`: not merely able to serve, but complete.
    pub async fn complete(&self, http: &Http) -> anyhow::Result<()> {
        self.readiness(http, "ready").await
    }

    /// Waits until `/readyz` has this status.
    pub async fn readiness(&self, http: &Http, status: &str) -> anyhow::Result<()> {
        let what = format!("{} is {status}", self.name);
        let ready = within(START_WITHIN, &what, async || {
            if let Some(status) = self.ended()? {
                return Ok(Some(Some(status)));
            }
            let report = http.readiness().await?;
            ensure!(report["status"] == status, "{report}");
            Ok(Some(None))
        });
        match ready.await.with_context(|| self.last_lines())? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}); {}", self.name, self.last_lines()),
        }
    }

    /// All it has printed so far.
    pub fn output(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn last_lines(&self) -> String {
        let output = self.output().unwrap_or_default();
        let lines: Vec<_> = output.lines().rev().take(LAST_LINES).collect();
        let lines: Vec<_> = lines.into_iter().rev().collect();
        format!("the end of {}:\n{}", self.log.display(), lines.join("\n"))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut state).with_context(|| self.name.clone())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.with(|state| {
            state.adopted = None;
            Ok(())
        })
        .ok();
        // Where it ended before, there is nothing to kill.
        self.kill().ok();
    }
}

/// Its parent, who is another process, gets its exit status: until then it is a zombie, which
/// has neither arguments nor open files.
fn kill_adopted(pid: u32) -> anyhow::Result<()> {
    kill("KILL", pid)?;
    let line = PathBuf::from(format!("/proc/{pid}/cmdline"));
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::fs::read(&line).is_ok_and(|line| !line.is_empty()) {
        ensure!(Instant::now() < deadline, "pid {pid} does not go away");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// By the shell's own `kill`: the standard library knows SIGKILL alone.
fn kill(name: &str, id: u32) -> anyhow::Result<()> {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -s {name} {id}")])
        .status()?;
    ensure!(status.success(), "kill -s {name} {id}: {status}");
    Ok(())
}

/// How a program ended that was expected to end by itself.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stderr: String,
}

/// Runs a program that ends by itself; kills it if it does not within `patience`.
pub fn run_to_end(mut command: Command, patience: Duration) -> anyhow::Result<Ended> {
    // A file, not a pipe: a full pipe would block the program.
    let mut errors = tempfile::tempfile()?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone()?);
    let mut child = command.spawn()?;
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!(
                "it still runs after {} s: {}",
                patience.as_secs(),
                read(&mut errors)?
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Ok(Ended {
        status,
        stderr: read(&mut errors)?,
    })
}

fn read(file: &mut File) -> anyhow::Result<String> {
    use std::io::Seek;
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
