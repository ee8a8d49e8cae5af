//! Proves, or disproves, that a pair has lost, doubled or oversold nothing.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to its user"
)]

mod bar;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use e2e::{Pair, Report, Topics, verify};
use shared::kafka::KafkaSettings;

use self::bar::Bar;

/// Reads the topics as committed and both databases, and checks the pair's invariants.
///
/// It only reads. While orders are on their way a pair is not in step: stop the traffic first,
/// or --wait. The report goes to standard output, progress to standard error.
#[derive(Parser)]
#[command(name = "verify", version, help_expected = true, after_help = HELP)]
struct Arguments {
    /// The broker; several separated by commas.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    bootstrap_servers: String,
    /// What the sink writes: mysql://USER:PASSWORD@HOST:PORT/DATABASE, postgres://… or
    /// sqlite://FILE.
    #[arg(long, value_name = "URL")]
    orders_database: String,
    /// What the catalog-service writes, likewise.
    #[arg(long, value_name = "URL")]
    catalog_database: String,
    /// A file of answered requests, as the load generator of `chaos` writes it (repeatable). Of the
    /// orders in it, every cancellation is to be in one of them.
    #[arg(long, value_name = "FILE")]
    answers: Vec<PathBuf>,
    /// Look again for so many seconds while something is violated: it may still be on its way.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Nobody has sent bad data: dead letters and foreign records are violations too.
    #[arg(long)]
    strict: bool,
    /// A librdkafka property, such as security.protocol=SASL_SSL (repeatable).
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    property: Vec<(String, String)>,
    #[command(flatten)]
    topics: TopicNames,
}

#[derive(clap::Args)]
struct TopicNames {
    /// The topic of the orders.
    #[arg(long, value_name = "TOPIC", default_value = "orders")]
    orders: String,
    /// The topic of the deltas.
    #[arg(long, value_name = "TOPIC", default_value = "catalog_deltas")]
    catalog_deltas: String,
    /// The topic of the decisions.
    #[arg(long, value_name = "TOPIC", default_value = "order_outcomes")]
    order_outcomes: String,
    /// Dead letters of the catalog-service; the topic may be missing.
    #[arg(long, value_name = "TOPIC", default_value = "catalog_deltas.dlq")]
    delta_dead_letters: String,
    /// Dead letters of the sink; the topic may be missing.
    #[arg(long, value_name = "TOPIC", default_value = "orders-sink.dlq")]
    sink_dead_letters: String,
}

const HELP: &str = "\
Exit status: 0 all invariants hold, 1 one is violated (with --strict also: there are dead letters
or foreign records), 2 it could not be found out.

Examples:
  verify --orders-database mysql://user:secret@localhost/orders --catalog-database mysql://user:secret@localhost/catalog
  verify --bootstrap-servers broker:9092 --wait 60 --orders-database postgres://… --catalog-database postgres://…
  verify --property security.protocol=SASL_SSL --property sasl.mechanism=SCRAM-SHA-256 …
In a checkout: cargo run --package e2e --bin verify -- …; in containers: docker compose run --rm verify";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wait = Duration::from_secs(arguments.wait);
    let is_strict = arguments.strict;
    let holds = |report: &Report| report.violations() == 0 && !(is_strict && report.bad_data() > 0);
    match look(&Pair::from(arguments), wait, holds).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(!holds(&report)))
        }
        Err(error) => {
            eprintln!("error: could not verify: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn look(
    pair: &Pair,
    wait: Duration,
    holds: impl Fn(&Report) -> bool,
) -> anyhow::Result<Report> {
    let deadline = Instant::now() + wait;
    loop {
        let report = verify(pair, &Bar::default()).await?;
        if holds(&report) || Instant::now() >= deadline {
            return Ok(report);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn property(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once('=').context("it has the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl From<Arguments> for Pair {
    fn from(arguments: Arguments) -> Self {
        Self {
            kafka: KafkaSettings {
                bootstrap_servers: arguments.bootstrap_servers,
                properties: arguments.property.into_iter().collect(),
            },
            topics: arguments.topics.into(),
            orders_database: arguments.orders_database,
            catalog_database: arguments.catalog_database,
            answers: arguments.answers,
        }
    }
}

impl From<TopicNames> for Topics {
    fn from(names: TopicNames) -> Self {
        Self {
            orders: names.orders,
            catalog_deltas: names.catalog_deltas,
            order_outcomes: names.order_outcomes,
            delta_dead_letters: names.delta_dead_letters,
            sink_dead_letters: names.sink_dead_letters,
        }
    }
}
