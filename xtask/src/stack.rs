//! The real stack as local processes. Data lives from `up` to `down`; logs, jars and the
//! certificate outlive it.

mod certificate;
mod connect;
mod java;
mod kafka;
mod mariadb;
mod postgres;
pub(crate) mod process;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Context, anyhow};

use self::certificate::Certificate;
use self::connect::Connect;
use self::java::Jars;
use self::kafka::{Kafka, Ports};
use self::mariadb::MariaDb;
use self::postgres::Postgres;
use self::process::Component;
use crate::prerequisites;
use crate::pulse::with_pulse;

/// Which servers there are, and on which ports. Stacks may run beside each other.
pub(crate) struct Layout {
    folder: &'static str,
    /// What `cargo xtask stack` takes for it.
    option: &'static str,
    kafka: &'static [Ports],
    connect: u16,
    /// The same by HTTPS.
    connect_tls: Option<u16>,
    mariadb: u16,
    postgres: Option<u16>,
    /// What its JVMs run with.
    java: &'static [&'static str],
}

/// A quick start on a small machine; code that is run often stays slow.
const QUICK: [&str; 2] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// What tests run on.
pub(crate) const SINGLE: Layout = Layout {
    folder: "stack",
    option: "",
    kafka: &[Ports {
        broker: 19092,
        controller: 19093,
        tls: Some(19094),
    }],
    connect: 18083,
    connect_tls: Some(18443),
    mariadb: 13306,
    postgres: Some(15432),
    java: &["-Xmx512m", QUICK[0], QUICK[1]],
};

/// What benchmarks run on: servers as they are deployed.
pub(crate) const BENCH: Layout = Layout {
    folder: "bench-stack",
    option: " --bench",
    kafka: &[Ports {
        broker: 14092,
        controller: 14093,
        tls: None,
    }],
    connect: 14083,
    connect_tls: None,
    mariadb: 14306,
    postgres: None,
    // The memory of docker-compose.yml, and what Kafka's own scripts set.
    java: &[
        "-Xms256m",
        "-Xmx512m",
        "-server",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35",
        "-XX:+ExplicitGCInvokesConcurrent",
    ],
};

/// Three brokers, one of which may be away.
pub(crate) const CLUSTER: Layout = Layout {
    folder: "chaos-stack",
    option: " --cluster",
    kafka: &[
        Ports {
            broker: 29092,
            controller: 29093,
            tls: None,
        },
        Ports {
            broker: 29192,
            controller: 29193,
            tls: None,
        },
        Ports {
            broker: 29292,
            controller: 29293,
            tls: None,
        },
    ],
    connect: 28083,
    connect_tls: None,
    mariadb: 23306,
    postgres: None,
    java: &["-Xmx384m", QUICK[0], QUICK[1]],
};

/// Options that a program answers without a stack.
const ASKING: [&str; 4] = ["--help", "-h", "--version", "-V"];

pub(crate) struct Stack {
    home: PathBuf,
    layout: &'static Layout,
    jars: Jars,
    certificate: Certificate,
    components: Vec<Box<dyn Component>>,
}

impl Stack {
    /// In a folder of `target`; all stacks there share the jars of the first.
    pub(crate) fn new(target: &Path, layout: &'static Layout) -> Self {
        let home = target.join(layout.folder);
        let jars = Jars::new(target.join(SINGLE.folder).join("jars"), layout.java);
        let mut components: Vec<Box<dyn Component>> = Vec::new();
        for place in 0..layout.kafka.len() {
            components.push(Box::new(Kafka::new(
                &home,
                layout.kafka,
                place,
                jars.clone(),
            )));
        }
        components.push(Box::new(Connect::new(&home, layout, jars.clone())));
        components.push(Box::new(MariaDb::new(&home, layout.mariadb)));
        if let Some(port) = layout.postgres {
            components.push(Box::new(Postgres::new(&home, port)));
        }
        Self {
            certificate: Certificate::new(&home),
            home,
            layout,
            jars,
            components,
        }
    }

    /// What tests and benchmarks find it by.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let layout = self.layout;
        let mut environment = vec![
            ("STACK_HOME", self.home.display().to_string()),
            ("STACK_KAFKA", kafka::bootstrap(layout.kafka)),
            ("STACK_CONNECT", connect::url(layout.connect)),
            ("STACK_MARIADB", mariadb::url(layout.mariadb)),
        ];
        if let Some(port) = layout.postgres {
            environment.push(("STACK_POSTGRES", postgres::url(port)));
        }
        if let [
            Ports {
                tls: Some(port), ..
            },
        ] = layout.kafka
        {
            environment.push(("STACK_KAFKA_TLS", kafka::address(*port)));
        }
        if let Some(port) = layout.connect_tls {
            environment.push(("STACK_CONNECT_TLS", connect::tls_url(port)));
        }
        let authority = self.certificate.path().display().to_string();
        environment.push(("STACK_CA", authority));
        environment
    }

    /// Of Kafka, Connect and the sink; returns their folder.
    pub(crate) fn fetch_jars(&self) -> anyhow::Result<&Path> {
        fs::create_dir_all(&self.home)?;
        let log = self.home.join("apt.log");
        prerequisites::ensure_maven(self.jars.are_there(), &log)?;
        self.jars.fetch()?;
        Ok(self.jars.home())
    }

    pub(crate) fn up(&self) -> anyhow::Result<()> {
        let _lock = self.lock("lock")?;
        let began = Instant::now();
        if self.components().all(|component| component.answers()) && self.all_running() {
            println!("the stack is up already");
        } else {
            for component in self.components() {
                process::check_ports(component)?;
            }
            prerequisites::ensure(self.jars.are_there(), &self.home.join("apt.log"))?;
            let option = self.layout.option;
            self.start().with_context(|| {
                format!("the stack is not up (`cargo xtask stack down{option}` stops what is)")
            })?;
        }
        self.print_endpoints();
        println!("ready in {:.1} s", began.elapsed().as_secs_f32());
        Ok(())
    }

    pub(crate) fn status(&self) -> ExitCode {
        let mut all_answer = true;
        for component in self.components() {
            let state = match process::running(component) {
                Some(pid) if component.answers() => format!("up, pid {pid}"),
                Some(pid) => format!("does not answer, pid {pid}"),
                None => "down".to_owned(),
            };
            all_answer &= state.starts_with("up");
            println!(
                "{:<9} {state:<27} {}",
                component.name(),
                component.log().display()
            );
        }
        if all_answer {
            self.print_endpoints();
        }
        ExitCode::from(u8::from(!all_answer))
    }

    pub(crate) fn down(&self) -> anyhow::Result<()> {
        let _lock = self.lock("lock")?;
        let stopped = thread::scope(|scope| {
            let stopping: Vec<_> = self
                .components()
                .map(|component| scope.spawn(move || process::stop(component)))
                .collect();
            join(stopping)
        })?;
        for component in self.components() {
            process::wipe(component)?;
        }
        if stopped.contains(&true) {
            println!("the stack is down, its data deleted");
        } else {
            println!("the stack was down");
        }
        Ok(())
    }

    /// Builds a program of ours and runs it on this stack, made anew, which does not outlive it.
    pub(crate) fn run(
        &self,
        build: impl FnOnce() -> anyhow::Result<Command>,
        args: &[OsString],
    ) -> anyhow::Result<ExitCode> {
        let asks = args
            .iter()
            .any(|arg| ASKING.iter().any(|asking| arg == asking));
        // To build beside a benchmark would spoil it.
        let _running = (!asks).then(|| self.lock("running")).transpose()?;
        let mut program = build()?;
        program.args(args).envs(self.environment());
        if asks {
            return exit_code(&mut program);
        }
        self.down()?;
        let code = self.up().and_then(|()| exit_code(&mut program));
        self.down()?;
        code
    }

    fn components(&self) -> impl Iterator<Item = &dyn Component> {
        self.components.iter().map(AsRef::as_ref)
    }

    fn all_running(&self) -> bool {
        self.components()
            .all(|component| process::running(component).is_some())
    }

    /// The databases start while Maven fetches the jars; Connect waits for the broker by itself.
    fn start(&self) -> anyhow::Result<()> {
        self.certificate.ensure()?;
        let abandoned = AtomicBool::new(false);
        let start = |component: &dyn Component| {
            let what = format!("starting {}", component.name());
            with_pulse(&what, || process::start(component, &abandoned))
                .inspect_err(|_| abandoned.store(true, Ordering::Relaxed))
        };
        thread::scope(|scope| {
            let (java, native): (Vec<_>, Vec<_>) = self
                .components()
                .partition(|component| component.needs_jars());
            let mut starting: Vec<_> = native
                .into_iter()
                .map(|component| scope.spawn(move || start(component)))
                .collect();
            let fetched = self.jars.fetch();
            if fetched.is_ok() {
                starting.extend(
                    java.into_iter()
                        .map(|component| scope.spawn(move || start(component))),
                );
            }
            join(starting).and(fetched)
        })
    }

    fn print_endpoints(&self) {
        println!();
        for component in self.components() {
            let mut name = component.name();
            for endpoint in component.endpoints() {
                println!("{name:<9} {endpoint}");
                name = "";
            }
            println!("{:<9} log {}", "", component.log().display());
        }
        println!();
    }

    /// Two `up`s at once would start everything twice, and two `run`s take the stack from each other.
    fn lock(&self, name: &str) -> anyhow::Result<File> {
        fs::create_dir_all(&self.home)
            .with_context(|| format!("cannot create {}", self.home.display()))?;
        let path = self.home.join(name);
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        if file.try_lock().is_err() {
            println!(
                "waiting for another `cargo xtask` that holds {}",
                path.display()
            );
            file.lock()?;
        }
        Ok(file)
    }
}

fn exit_code(program: &mut Command) -> anyhow::Result<ExitCode> {
    let name = program.get_program().display().to_string();
    let status = program
        .status()
        .with_context(|| format!("{name} does not start"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// All results, or the first error once every thread has ended.
fn join<T>(threads: Vec<ScopedJoinHandle<'_, anyhow::Result<T>>>) -> anyhow::Result<Vec<T>> {
    let results: Vec<_> = threads
        .into_iter()
        .map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a thread of xtask panicked")))
        })
        .collect();
    results.into_iter().collect()
}
