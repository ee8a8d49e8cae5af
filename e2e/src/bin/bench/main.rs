//! The pair's speed on real Kafka, each figure beside its own limit from the same run.
//!
//! `cargo xtask bench` builds for release, and runs this on a stack of its own, made anew.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints a table for a person, and how far it is"
)]

mod actix;
mod backlog;
mod bare;
mod catalog;
mod compression;
mod consoles;
mod end_to_end;
mod footprint;
mod growth;
mod history;
mod load;
mod measure;
mod post;
mod reads;
mod report;
mod rows;
mod sink;
mod start;
mod verify;
mod warm_up;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use e2e::{Http, World};
use tikv_jemallocator::Jemalloc;

use crate::report::{Findings, Table};

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Products that the orders spread over.
const PRODUCTS: usize = 100;
/// A service that is asked to stop takes less, unless something is wrong.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Measures each path of the pair against its own limit: both in the same run, in turn, and the
/// median of the rounds' ratios counts.
#[derive(Parser)]
#[command(name = "bench", bin_name = "cargo xtask bench", version, help_expected = true, after_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Parts to measure, separated by commas; all unless said.
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Orders in each run of `POST /orders`; a backlog is of a multiple.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    orders: usize,
    /// Rounds, in each of which everything has its turn.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Connections that place orders, and orders in flight of the bare producer; several separated
    /// by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [32, 128, 512])]
    connections: Vec<usize>,
    /// Folder for the figures (JSON) and the plots (SVG).
    #[arg(
        long,
        value_name = "FOLDER",
        global = true,
        default_value = "target/bench"
    )]
    into: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// `POST /orders`: a bare transactional producer, plain actix, the order-service
    Post,
    /// A backlog of deltas: bare SQL, the catalog-service
    Catalog,
    /// A topic of orders: bare upserts, connect-worker, Kafka Connect
    Sink,
    /// Reads: bare queries, the order-service
    Reads,
    /// From an order's 201 to its rows: one order at a time, and at shares of what the pair takes
    EndToEnd,
    /// From start to ready, of each service
    Start,
}

#[derive(clap::Subcommand)]
enum What {
    /// Throughput and latency of every path, as tables and other things grow.
    Growth(growth::Arguments),
    /// The whole pair, with many consoles open and with none.
    Consoles(consoles::Arguments),
    /// What compression of the records costs and saves.
    Compression(compression::Arguments),
    /// A backlog drained, and `verify` on it.
    Verify(verify::Arguments),
    /// Serves what the order-service answers, without Kafka.
    #[command(hide = true)]
    Actix(actix::Arguments),
}

const HELP: &str = "\
Tables go to standard output, progress to standard error.

Examples:
  cargo xtask bench
  cargo xtask bench --only post --rounds 1 --connections 64,256
  cargo xtask bench --only catalog,sink --orders 50000
  cargo xtask bench growth tables --largest 10000000
  cargo xtask bench consoles --pages 50
  cargo xtask bench compression
  cargo xtask bench verify --orders 1000000";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    shared::service::report(measure(&arguments).await)
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    if !matches!(arguments.what, Some(What::Actix(_))) {
        warm_up::kafka().await?;
    }
    match &arguments.what {
        Some(What::Growth(growth)) => growth::run(growth, &arguments.into).await,
        Some(What::Consoles(what)) => consoles::run(what, &arguments.into).await,
        Some(What::Compression(what)) => compression::run(what, &arguments.into).await,
        Some(What::Verify(arguments)) => verify::run(arguments).await,
        Some(What::Actix(arguments)) => actix::run(arguments).await,
        None => overview(arguments).await,
    }
}

/// What is found out is saved part by part: one that fails takes nothing from the others.
async fn overview(arguments: &Arguments) -> anyhow::Result<()> {
    let mut paths = Table::new(
        format!(
            "Each path and its limit, median of {} rounds",
            arguments.rounds
        ),
        &["path", "reached", "limit", "", "ratio", "goal"],
    );
    let mut costs = Table::new(
        "What it takes",
        &["while", "process", "CPU per 1,000 orders", "peak memory"],
    );
    let parts = match &*arguments.only {
        [] => Part::value_variants(),
        only => only,
    };
    for part in parts {
        let found = part.measure(arguments).await?;
        report::save(&arguments.into, part.name(), &found.tables, &found.plots)?;
        for reached in found.reached {
            paths.row(<[_; 6]>::from(reached));
        }
        for cost in found.costs {
            costs.row(cost);
        }
    }
    let mut tables = vec![paths, costs];
    tables.retain(|table| !table.is_empty());
    report::save(&arguments.into, "overview", &tables, &[])
}

impl Part {
    async fn measure(self, arguments: &Arguments) -> anyhow::Result<Findings> {
        match self {
            Self::Post => post::run(arguments).await,
            Self::Catalog => catalog::run(arguments).await,
            Self::Sink => sink::run(arguments).await,
            Self::Reads => reads::run(arguments).await,
            Self::EndToEnd => end_to_end::run(arguments).await,
            Self::Start => start::run(arguments).await,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Catalog => "catalog",
            Self::Sink => "sink",
            Self::Reads => "reads",
            Self::EndToEnd => "end-to-end",
            Self::Start => "start",
        }
    }
}

/// More of every product than anybody orders.
async fn stock_up(world: &World) -> anyhow::Result<()> {
    for product in 1..=i64::try_from(PRODUCTS)? {
        let name = format!("Product {product}");
        world
            .catalog
            .put_product(product, &name, 1_000_000_000)
            .await?
            .expect(201)?;
    }
    Ok(())
}

fn address(http: &Http) -> anyhow::Result<SocketAddr> {
    Ok(http.base().trim_start_matches("http://").parse()?)
}
