//! How the speed of each path goes with what grows.

mod buffer_pool;
mod curves;
mod drain;
mod partitions;
mod products;
mod read;
mod recovery;
mod tables;

use std::path::Path;

use clap::ValueEnum;
use e2e::World;

use crate::bare::{self, Topics};
use crate::measure::count;

/// Orders in each transaction of a backlog.
const IN_FLIGHT: usize = 1_000;

#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// What grows; all of it, one after the other, unless said.
    #[arg(value_enum)]
    what: Vec<What>,
    /// Orders in the largest databases. The smallest have 10,000, the next ten times as many.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    largest: u32,
    /// Orders that are placed, applied and written in each round.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    orders: usize,
    /// Orders in the backlog that recovery is from.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    backlog: usize,
    /// What MariaDB keeps in memory, in MiB; as it is, unless said.
    #[arg(long, value_name = "MIB")]
    buffer_pool: Option<u64>,
    /// Rounds at each size; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The orders in the databases
    Tables,
    /// A backlog, while it is worked off
    Recovery,
    /// The products in the catalog, and those that orders are for
    Products,
    /// The partitions of each topic
    Partitions,
    /// The instances of each service
    Instances,
}

pub(crate) async fn run(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let chosen = match &*arguments.what {
        [] => What::value_variants(),
        chosen => chosen,
    };
    for what in chosen {
        match what {
            What::Tables => tables::run(arguments, into).await?,
            What::Recovery => recovery::run(arguments, into).await?,
            What::Products => products::run(arguments, into).await?,
            What::Partitions => partitions::partitions(arguments, into).await?,
            What::Instances => partitions::instances(arguments, into).await?,
        }
    }
    Ok(())
}

/// As if the order-service had committed them; returns how many there are.
async fn leave_backlog(world: &World, orders: usize) -> anyhow::Result<f64> {
    let kafka = world.kafka.bootstrap_servers();
    let run = bare::run(kafka, Topics::PAIR, orders, IN_FLIGHT).await?;
    Ok(count(run.latencies.len()))
}
