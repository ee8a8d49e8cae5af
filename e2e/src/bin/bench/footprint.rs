//! What processes take of the machine, as the kernel counts it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Process, World};

use crate::measure::count;
use crate::report::{Cell, figure};

/// `/proc` counts in hundredths of a second (`USER_HZ`), on every machine that Rust runs on.
const TICKS: f64 = 100.0;

/// A process by the name it is listed under.
#[derive(Clone, Copy)]
pub(crate) struct Observed {
    pub(crate) name: &'static str,
    pub(crate) id: u32,
}

/// What processes took while something was done, summed over several runs of it.
#[derive(Default)]
pub(crate) struct Cost {
    orders: usize,
    elapsed: Duration,
    processes: Vec<Taken>,
}

struct Taken {
    name: &'static str,
    cpu_s: f64,
    peak_mib: u64,
}

impl Cost {
    /// Observes some processes while so many orders are worked at.
    pub(crate) async fn of<T>(
        &mut self,
        processes: &[Observed],
        orders: usize,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut before = Vec::with_capacity(processes.len());
        for process in processes {
            forget_peak(process.id)?;
            before.push(cpu_s(process.id)?);
        }
        let begun = Instant::now();
        let done = work.await?;
        self.elapsed += begun.elapsed();
        for (process, before) in processes.iter().zip(before) {
            let cpu_s = cpu_s(process.id)? - before;
            let peak_mib = memory_mib(process.id, "VmHWM:")?;
            self.add(process.name, cpu_s, peak_mib);
        }
        self.orders += orders;
        Ok(done)
    }

    fn add(&mut self, name: &'static str, cpu_s: f64, peak_mib: u64) {
        if let Some(taken) = self.processes.iter_mut().find(|taken| taken.name == name) {
            taken.cpu_s += cpu_s;
            taken.peak_mib = taken.peak_mib.max(peak_mib);
            return;
        }
        self.processes.push(Taken {
            name,
            cpu_s,
            peak_mib,
        });
    }

    /// How many cores all of them kept busy.
    pub(crate) fn cores(&self) -> f64 {
        let cpu_s: f64 = self.processes.iter().map(|taken| taken.cpu_s).sum();
        cpu_s / self.elapsed.as_secs_f64()
    }

    /// For the columns: while, process, CPU per 1,000 orders, peak memory.
    pub(crate) fn rows(&self, doing: &str) -> Vec<[Cell; 4]> {
        let row = |taken: &Taken| {
            [
                doing.into(),
                taken.name.into(),
                figure(taken.cpu_s * 1e6 / count(self.orders), " ms"),
                format!("{} MiB", taken.peak_mib).into(),
            ]
        };
        self.processes.iter().map(row).collect()
    }
}

/// A pair with a connect-worker, the stack below it, and the load.
pub(crate) fn pair(world: &World) -> anyhow::Result<[Observed; 6]> {
    let process = |name, process: &Process| {
        let id = process.id()?;
        anyhow::Ok(Observed { name, id })
    };
    let worker = world.sink.process.as_ref().context("connect-worker")?;
    Ok([
        process("order-service", world.process("order-service-a")?)?,
        process("catalog-service", world.process("catalog-service")?)?,
        process("connect-worker", worker)?,
        server("kafka")?,
        server("mariadb")?,
        load(),
    ])
}

/// The benchmark itself, which is the load.
pub(crate) fn load() -> Observed {
    Observed {
        name: "load",
        id: std::process::id(),
    }
}

/// A server of the stack: `kafka`, `mariadb`, `connect`.
pub(crate) fn server(name: &'static str) -> anyhow::Result<Observed> {
    let home = std::env::var("STACK_HOME").context("STACK_HOME is not set")?;
    let file = PathBuf::from(home).join(name).join("pid");
    let id = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let id = id.trim().parse()?;
    Ok(Observed { name, id })
}

/// A figure of the kernel's status of a process.
pub(crate) fn memory_mib(id: u32, figure: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("a process's memory")?;
    Ok(kib.parse::<u64>()? / 1_024)
}

/// From now on `VmHWM` is the peak of what is to come; see proc(5), `clear_refs`.
fn forget_peak(id: u32) -> anyhow::Result<()> {
    Ok(std::fs::write(format!("/proc/{id}/clear_refs"), "5")?)
}

/// Of all its threads.
fn cpu_s(id: u32) -> anyhow::Result<f64> {
    cpu_s_in(Path::new(&format!("/proc/{id}")))
}

/// What a process or a thread took in user mode and in the kernel, by its folder in `/proc`.
pub(crate) fn cpu_s_in(folder: &Path) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(folder.join("stat"))?;
    // The second field is the program's name in brackets, and may hold anything.
    let (_, behind) = stat.rsplit_once(')').context("a process's state")?;
    let fields: Vec<_> = behind.split_whitespace().collect();
    let ticks = |field: usize| -> anyhow::Result<f64> {
        let text = fields.get(field).context("a process's CPU time")?;
        Ok(text.parse()?)
    };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}
