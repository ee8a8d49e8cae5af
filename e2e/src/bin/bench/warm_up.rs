//! A JVM is slow until it has compiled what it is to run, and takes a good part of two cores for it,
//! for a minute of load. What is deployed runs for longer.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use e2e::{Kind, World};

use crate::footprint::{Observed, cpu_s_in, server};
use crate::{backlog, load};

/// Orders in each turn, and the connections that they come over: few, so that a broker has many
/// requests.
const ORDERS: usize = 30_000;
const CONNECTIONS: usize = 32;
/// Of a core: what the compilers may take for the JVM to count as warm.
const QUIET: f64 = 0.05;
/// Turns, at most.
const LONGEST: usize = 30;

/// All of the pair at work, until Kafka is warm.
pub(crate) async fn kafka() -> anyhow::Result<()> {
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    let service = crate::address(&world.orders[0])?;
    let mut placed = 0;
    let work = async || {
        load::run(service, ORDERS, CONNECTIONS).await?;
        placed += ORDERS;
        backlog::written(&world, placed).await
    };
    until_quiet(server("kafka")?, work).await?;
    world.stop().await
}

/// Has something done again and again, until the compilers of a JVM have nothing left to do.
pub(crate) async fn until_quiet(
    jvm: Observed,
    mut work: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for turn in 1..=LONGEST {
        let (before, begun) = (compilers(jvm.id)?, Instant::now());
        work().await?;
        let took = compilers(jvm.id)?.into_iter().map(|(thread, cpu_s)| {
            let before = before.get(&thread).copied();
            cpu_s - before.unwrap_or(0.0)
        });
        let share = took.sum::<f64>() / begun.elapsed().as_secs_f64();
        eprintln!(
            "{} warms up, turn {turn}: its compilers take {share:.2} of a core",
            jvm.name
        );
        if share < QUIET {
            return Ok(());
        }
    }
    eprintln!(
        "{} still compiles, so it is slower than it could be",
        jvm.name
    );
    Ok(())
}

/// Seconds of CPU that each of a JVM's compilers has taken. They come and go.
fn compilers(id: u32) -> anyhow::Result<BTreeMap<PathBuf, f64>> {
    let mut compilers = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let thread = thread?.path();
        // "C1 CompilerThread0" and "C2 CompilerThread0", cut off by the kernel.
        let compiles =
            fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.contains(" Compil"));
        if compiles && let Ok(cpu_s) = cpu_s_in(&thread) {
            compilers.insert(thread, cpu_s);
        }
    }
    Ok(compilers)
}
