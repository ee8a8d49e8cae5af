//! The pair's speed on real Kafka, each figure beside its own limit from the same run.
//!
//! `cargo xtask bench` builds for release, starts the stack, and runs this.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints a table for a person, and how far it is"
)]

mod backlog;
mod bare;
mod consoles;
mod footprint;
mod load;
mod measure;
mod report;
mod sink;
mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use e2e::{Kind, World};

use crate::measure::{Run, count, median};
use crate::report::{Axis, Line, Plot, Scale, Table, figure};

/// Products that the orders spread over.
const PRODUCTS: usize = 100;

/// Measures the order-service against a bare transactional producer in turn, then the
/// catalog and the sink on the backlog that both left, then memory and start-up.
#[derive(Parser)]
#[command(name = "bench", bin_name = "cargo xtask bench", version, help_expected = true, after_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Orders in each run.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    orders: usize,
    /// Runs of each kind, in turn; the median counts.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Connections of the service, and orders in flight of the bare producer; several separated by
    /// commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [128, 512])]
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

#[derive(clap::Subcommand)]
enum What {
    /// The sink alone: bare upserts, connect-worker, Kafka Connect, on one topic.
    Sink(sink::Arguments),
    /// The whole pair, with many consoles open and with none.
    Consoles(consoles::Arguments),
    /// A backlog drained, and `verify` on it.
    Verify(verify::Arguments),
}

const HELP: &str = "\
Tables go to standard output, progress to standard error.

Examples:
  cargo xtask bench
  cargo xtask bench --rounds 1 --connections 64,256
  cargo xtask bench sink --records 500000 --tasks 2
  cargo xtask bench consoles --pages 50
  cargo xtask bench verify --orders 1000000";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    shared::service::report(match &arguments.what {
        Some(What::Sink(arguments)) => sink::run(arguments).await,
        Some(What::Consoles(arguments)) => consoles::run(arguments).await,
        Some(What::Verify(arguments)) => verify::run(arguments).await,
        None => pair(&arguments).await,
    })
}

async fn pair(arguments: &Arguments) -> anyhow::Result<()> {
    let kafka = std::env::var("STACK_KAFKA").context("run it as `cargo xtask bench`")?;
    let world = World::start(Kind::WorkerMariadb).await?;
    stock_up(&world).await?;
    // Alone on the machine with the broker, as the limit is.
    world.process("catalog-service")?.kill()?;
    world.sink.stop().await?;

    let title = format!(
        "POST /orders, {} orders a run, median of {} runs",
        arguments.orders, arguments.rounds
    );
    let columns = [
        "connections",
        "bare producer",
        "order-service",
        "ratio",
        "p50",
        "p99",
    ];
    let mut table = Table::new(title, &columns);
    let (mut limit, mut reached) = (Vec::new(), Vec::new());
    let address = world.orders[0]
        .base()
        .trim_start_matches("http://")
        .parse()?;
    let mut placed = 0;
    for &connections in &arguments.connections {
        let mut compared = compare(arguments, &kafka, address, connections).await?;
        placed += compared.placed;
        let x = count(connections);
        limit.push((x, compared.bare));
        reached.push((x, compared.service));
        table.row([
            connections.to_string().into(),
            figure(compared.bare, "/s"),
            figure(compared.service, "/s"),
            figure(compared.ratio, ""),
            figure(compared.all.percentile_ms(50), " ms"),
            figure(compared.all.percentile_ms(99), " ms"),
        ]);
    }
    let plot = throughput(vec![
        line("bare producer", limit),
        line("order-service", reached),
    ]);
    report::save(&arguments.into, "pair", &[table], &[plot])?;
    backlog::drain(&world, placed).await?;
    footprint::print(&world).await?;
    world.stop().await
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

fn line(name: &str, points: Vec<(f64, f64)>) -> Line {
    Line {
        name: name.to_owned(),
        points,
    }
}

fn throughput(lines: Vec<Line>) -> Plot {
    let axis = |label: &str, scale| Axis {
        label: label.to_owned(),
        scale,
    };
    Plot {
        name: "post".to_owned(),
        title: "POST /orders".to_owned(),
        x: axis("connections", Scale::Log),
        y: axis("orders/s", Scale::Linear),
        lines,
    }
}

struct Compared {
    placed: usize,
    bare: f64,
    service: f64,
    ratio: f64,
    all: Run,
}

async fn compare(
    arguments: &Arguments,
    kafka: &str,
    address: SocketAddr,
    connections: usize,
) -> anyhow::Result<Compared> {
    let mut bare = Vec::new();
    let mut service = Vec::new();
    let mut ratios = Vec::new();
    let mut all = Run::default();
    let mut placed = 0;
    for round in 1..=arguments.rounds {
        let kafka = kafka.to_owned();
        let orders = arguments.orders;
        let limit =
            tokio::task::spawn_blocking(move || bare::run(&kafka, orders, connections)).await??;
        let run = load::run(address, orders, connections).await?;
        ratios.push(run.rate() / limit.rate());
        placed += limit.latencies.len() + run.latencies.len();
        eprintln!(
            "{connections} connections, round {round} of {}: bare {:.0}/s, service {:.0}/s",
            arguments.rounds,
            limit.rate(),
            run.rate()
        );
        bare.push(limit.rate());
        service.push(run.rate());
        all.latencies.extend(run.latencies);
    }
    Ok(Compared {
        placed,
        bare: median(bare),
        service: median(service),
        ratio: median(ratios),
        all,
    })
}
