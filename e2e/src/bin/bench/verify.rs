//! `verify` on a pair that has taken in so many orders.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::{Kind, Process, World};

use crate::backlog;
use crate::bare::{self, Topics};
use crate::footprint::memory_mib;

const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Orders in the topics and the databases.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    orders: usize,
    /// Orders in each transaction.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    in_flight: usize,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let kafka = std::env::var("STACK_KAFKA").context("run it as `cargo xtask bench verify`")?;
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    world.process("catalog-service")?.kill()?;
    world.sink.stop().await?;
    let (orders, in_flight) = (arguments.orders, arguments.in_flight);
    eprintln!("placing {orders} orders");
    let placed = bare::run(&kafka, Topics::PAIR, orders, in_flight).await?;
    let placed = placed.latencies.len();
    backlog::drain(&world, placed).await?;

    eprintln!("verify");
    let begun = Instant::now();
    let process = Process::start("verify", world.verify()?, world.logs())?;
    let mut memory = 0;
    let status = loop {
        if let Some(status) = process.ended()? {
            break status;
        }
        // It may end between the two looks.
        memory = memory_mib(process.id()?, "VmHWM:").unwrap_or(memory);
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let took = begun.elapsed().as_secs_f64();
    println!("{}", process.output()?);
    println!("verify: {placed} orders in {took:.0} s, {memory} MiB at most");
    ensure!(status.success(), "verify: {status}");
    world.stop().await
}
