//! Kills and freezes parts of the pair under load, and has `verify` count afterwards.
//!
//! `cargo xtask chaos` builds, starts three brokers, Kafka Connect and MariaDB, and runs this.
#![allow(clippy::print_stdout, reason = "it prints tables for a person")]

mod cluster;
mod faults;
mod judge;
mod load;
mod pair;
mod plan;
mod report;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use clap::{Parser, ValueEnum};
use e2e::{Recorder, binary, log_folder, within};
use shared::service::report as report_error;
use tokio::task::LocalSet;

use crate::faults::Faults;
use crate::load::Load;
use crate::pair::{Pair, SinkKind};
use crate::plan::{Kind, plan};
use crate::report::Report;

/// A cold cluster's first transactions wait for connections and coordinators.
const WARM_UP: Duration = Duration::from_secs(5);
/// Before the first fault and after the last, nothing may be refused.
const CALM: Duration = Duration::from_secs(8);
const DRAINS_WITHIN: Duration = Duration::from_secs(180);
/// Small enough that an order of before is visible by the time its client asks again.
const CAUGHT_UP: usize = 200;

/// SIGKILL and SIGSTOP for any part of the pair, under load, at times that the seed decides;
/// then everything heals, drains and is verified.
#[derive(Parser)]
#[command(name = "chaos", bin_name = "cargo xtask chaos", version, help_expected = true, after_help = HELP)]
struct Arguments {
    /// How long there are faults, in minutes
    #[arg(long, value_name = "N", default_value_t = 3.0)]
    minutes: f64,
    /// The same seed gives the same faults; without it, another each time
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Hit only these, separated by commas; without it, all of them
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Who writes the orders database
    #[arg(long, value_enum, default_value_t = SinkKind::Connect)]
    sink: SinkKind,
}

const HELP: &str = "\
Each fault is told with how long recovery took; at the end come a table and the report of `verify`.

Exit status: 0 nothing was violated, 1 something was, or a part did not recover, 2 bad
arguments, or `verify` could not find out.

Examples:
  cargo xtask chaos
  cargo xtask chaos --minutes 30 --sink connect-worker
  cargo xtask chaos --minutes 2 --seed 1 --only broker,coordinator";

#[tokio::main]
async fn main() -> ExitCode {
    let tasks = LocalSet::new();
    let ended = tokio::select! {
        result = tasks.run_until(run()) => result,
        // What is frozen would outlive us.
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            Ok(()) => Err(anyhow!("interrupted: `cargo xtask stack down --cluster` stops the stack")),
            Err(error) => Err(error.into()),
        },
    };
    ended.unwrap_or_else(|error| report_error(Err::<(), _>(error)))
}

async fn run() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed}, {} min of faults", arguments.minutes);
    let logs = log_folder("chaos")?;
    println!("logs and answers: {}", logs.display());
    let answers = logs.join("answers.jsonl");

    let pair = Arc::new(Pair::start(arguments.sink, &logs).await?);
    let report = Arc::new(Report::default());
    let load = start_load(&pair, &report, &answers).await?;
    let clients = load.start(seed);
    wreck(&arguments, seed, &pair, &load, &report).await?;
    load.stop();
    for client in clients {
        if let Err(error) = client.await? {
            report.violation(&format!("{error:#}"));
        }
    }
    println!("waiting until every order is decided and written");
    drain(&pair, 0).await?;
    report.print();
    let verified = verify(&pair, &answers)?;
    let violations = report.violations();
    if violations > 0 {
        println!("{violations} violations (see above), seed {seed}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(verified)
}

async fn start_load(
    pair: &Pair,
    report: &Arc<Report>,
    answers: &Path,
) -> anyhow::Result<Arc<Load>> {
    let recorder = Recorder::create(answers)?;
    let orders = pair.orders.each_ref().map(|service| service.http.clone());
    let catalogs = pair.catalogs.each_ref().map(|service| service.http.clone());
    Load::new(orders, catalogs, recorder, Arc::clone(report)).await
}

/// Calm, then faults, then calm again.
async fn wreck(
    arguments: &Arguments,
    seed: u64,
    pair: &Arc<Pair>,
    load: &Arc<Load>,
    report: &Arc<Report>,
) -> anyhow::Result<()> {
    println!("{} s of load without faults", (WARM_UP + CALM).as_secs());
    tokio::time::sleep(WARM_UP).await;
    load.set_calm(true);
    tokio::time::sleep(CALM).await;
    load.set_calm(false);
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let kinds = match arguments.only.as_slice() {
        [] => Kind::value_variants(),
        only => only,
    };
    let faults = Faults {
        pair: Arc::clone(pair),
        load: Arc::clone(load),
        report: Arc::clone(report),
        began: Instant::now(),
    };
    let lanes = plan(seed, length, kinds);
    let count: usize = lanes.iter().map(Vec::len).sum();
    println!("{count} faults, each told once it is recovered from");
    faults.run(lanes).await?;
    let healed = Instant::now();
    pair.complete().await?;
    pair.cluster.whole().await?;
    drain(pair, CAUGHT_UP).await?;
    println!(
        "all well again {:.1} s after the last fault",
        healed.elapsed().as_secs_f32()
    );
    println!("{} s of load without faults", CALM.as_secs());
    load.set_calm(true);
    tokio::time::sleep(CALM).await;
    Ok(())
}

/// Waits until the consumers are no further behind than so many records.
async fn drain(pair: &Pair, behind: usize) -> anyhow::Result<()> {
    within(DRAINS_WITHIN, "the consumers catch up", async || {
        let deltas = pair
            .cluster
            .lag("catalog-service", &["catalog_deltas"])
            .await?;
        let sink = pair
            .cluster
            .lag("connect-orders-sink", &["orders", "order_outcomes"])
            .await?;
        ensure!(
            deltas.max(sink) <= behind,
            "{deltas} deltas, {sink} orders and facts"
        );
        Ok(Some(()))
    })
    .await
}

/// Its table goes to where ours goes. The load sends no bad data: what was taken for it is lost.
fn verify(pair: &Pair, answers: &PathBuf) -> anyhow::Result<ExitCode> {
    let status = binary("verify")?
        .args(["--bootstrap-servers", pair.cluster.bootstrap_servers()])
        .args(["--orders-database", &pair.orders_url])
        .args(["--catalog-database", &pair.catalog_url])
        .arg("--answers")
        .arg(answers)
        .args(["--wait", "60", "--strict"])
        .status()
        .context("verify does not start")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(2)))
}
