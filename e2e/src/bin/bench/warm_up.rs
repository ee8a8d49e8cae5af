//! A JVM is slow until it has compiled what it is to run, and takes a good part of two cores for it,
//! for a minute of load. What is deployed runs for longer.

use std::fs;
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
        let (before, begun) = (compilers_s(jvm.id)?, Instant::now());
        work().await?;
        let share = (compilers_s(jvm.id)? - before) / begun.elapsed().as_secs_f64();
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

/// Seconds of CPU that a JVM's compilers have taken.
fn compilers_s(id: u32) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let thread = thread?.path();
        // "C1 CompilerThread0" and "C2 CompilerThread0", cut off by the kernel.
        let name = fs::read_to_string(thread.join("comm"))?;
        if name.contains(" Compil") {
            sum += cpu_s_in(&thread)?;
        }
    }
    Ok(sum)
}
