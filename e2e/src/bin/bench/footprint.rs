//! What the services take, and how soon they are there.

use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Http, Process, Signal, World};

/// Memory after the load, then a restart of each.
pub(crate) async fn print(world: &World) -> anyhow::Result<()> {
    println!("| process | memory | start to ready |");
    println!("|---|---|---|");
    let orders = world.process("order-service-a")?;
    row(orders, &world.orders[0]).await?;
    row(world.process("catalog-service")?, &world.catalog).await?;
    let worker = world.sink.process.as_ref().context("connect-worker")?;
    row(worker, &world.sink.http).await?;
    Ok(())
}

async fn row(process: &Process, http: &Http) -> anyhow::Result<()> {
    let memory = memory_mib(process.id()?, "VmRSS:")?;
    process
        .stop(Signal::Terminate, Duration::from_secs(30))
        .await?;
    let begun = Instant::now();
    process.start_again()?;
    // Refused until it listens, then not ready until it is.
    while http
        .readiness()
        .await
        .map_or(true, |report| report["status"] == "unready")
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed().as_secs_f64();
    println!("| {} | {memory} MiB | {took:.2} s |", process.name());
    Ok(())
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
