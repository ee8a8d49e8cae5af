//! The whole pair in one process, with nothing to install: what `cargo run` starts.
#![allow(
    clippy::print_stdout,
    reason = "this program talks to a person at a terminal"
)]

mod broker;
mod drain;
mod pair;
mod part;
mod recipe;
mod seed;
mod welcome;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use shared::kafka::KafkaSettings;
use shared::settings::{LogFormat, LogSettings};
use shared::{service, telemetry};
use tikv_jemallocator::Jemalloc;

use crate::broker::EmbeddedBroker;
use crate::pair::{Addresses, Pair, Places};

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Two order-services, a catalog-service, the sink between them, a broker, and a console that
/// shows them at work, in one process.
///
/// The embedded broker lives in memory: it has no transaction isolation and forgets
/// everything at the end, so a stop waits until every order is in the databases. What
/// the pair guarantees, it guarantees on a real Kafka: --kafka HOST:PORT.
#[derive(Parser)]
#[command(name = "demo", bin_name = "cargo run --", version, help_expected = true, after_help = HELP)]
struct Arguments {
    /// Where the SQLite databases live; made if it is missing. Delete it to begin anew.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// A real broker, instead of the embedded one.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Ports: the console on N, order-services on N+1 and N+11, catalog-service on N+2,
    /// connect-worker on N+3. With 0 the system picks free ones.
    #[arg(long, value_name = "N", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(..=65_000))]
    base_port: u16,
    /// What to log: error, warn, info, debug or trace, or a filter such as info,rdkafka=debug.
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = telemetry::filter)]
    log: String,
}

const HELP: &str = "\
Exit status: 0 stopped by Ctrl-C or SIGTERM, 1 cannot start or go on, 2 bad arguments.

Examples:
  cargo run
  cargo run -- --base-port 9080 --data-dir /tmp/pair
  cargo run -- --kafka localhost:9092
  cargo run -- --log info";

#[tokio::main]
async fn main() -> ExitCode {
    service::report(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::init(&LogSettings {
        level: arguments.log,
        format: LogFormat::Text,
    });
    let broker = match &arguments.kafka {
        Some(_) => None,
        None => Some(EmbeddedBroker::start()?),
    };
    let kafka = match (&broker, arguments.kafka) {
        (Some(broker), _) => broker.settings(),
        (None, address) => KafkaSettings {
            bootstrap_servers: address.unwrap_or_default(),
            ..KafkaSettings::default()
        },
    };
    if broker.is_none() {
        broker::answers(&kafka).await?;
    }
    let places = Places {
        data_dir: arguments.data_dir,
        base_port: arguments.base_port,
    };
    let mut pair = Pair::start(&places, &kafka).await?;
    let addresses = pair.addresses();
    welcome::addresses(&addresses, &kafka.bootstrap_servers);
    let ended = tokio::select! {
        result = live(&addresses) => result,
        failure = pair.failed() => Err(anyhow::anyhow!(failure)),
        signal = service::stop_requested() => signal.map_err(anyhow::Error::from),
    };
    welcome::farewell();
    pair.stop(broker.is_some().then_some(&kafka)).await;
    ended
}

/// Until somebody ends it.
async fn live(addresses: &Addresses) -> anyhow::Result<()> {
    addresses.ready().await?;
    welcome::ready(addresses);
    std::future::pending().await
}
