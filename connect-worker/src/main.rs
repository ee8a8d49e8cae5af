//! The connect-worker's process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use connect_worker::standalone::{read_connector, read_worker};
use connect_worker::{EnvSource, Settings};
use shared::http::ask_ready;
use shared::{service, settings, telemetry};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Kafka Connect's JDBC sink, source and REST API in one small process.
///
/// Connectors come by REST, as Kafka Connect takes them, and are kept in Kafka. Starts without its
/// broker, and waits for it; Ctrl-C or SIGTERM ends it, once what is in flight is done.
#[derive(Parser)]
#[command(version, help_expected = true, override_usage = USAGE, after_help = HELP)]
struct Arguments {
    /// A TOML file of settings; without it, the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Asks the one that runs here, by the same settings, whether it is ready; exits with 0 if so.
    #[arg(long, conflicts_with = "standalone")]
    health: bool,
    /// Start as Connect's connect-standalone does: the worker's properties come from this
    /// file, connectors from the files after it, and offsets of sources go to the worker's
    /// offset.storage.file.filename. Environment variables set what Connect has no key for.
    #[arg(long, value_name = "WORKER.PROPERTIES", conflicts_with = "config")]
    standalone: Option<PathBuf>,
    /// Connectors of a standalone worker, as Java properties or as JSON.
    #[arg(value_name = "CONNECTOR.PROPERTIES", requires = "standalone")]
    connectors: Vec<PathBuf>,
}

const USAGE: &str = "connect-worker [--config FILE] [--health]\n       \
    connect-worker --standalone WORKER.PROPERTIES [CONNECTOR.PROPERTIES]...";

const HELP: &str = "\
Settings: the defaults, then the file, then variables of the form CONNECT_WORKER__LEVEL__NAME.
config/connect-worker.toml has all of them with their defaults. RUST_LOG chooses what is logged.
What a connector's ${env:NAME} stands for comes from the environment as well.

Exit status: 0 stopped (or --health: ready), 1 cannot start or go on (or not ready), 2 bad arguments.

Examples:
  connect-worker --config config/connect-worker.toml
  CONNECT_WORKER__KAFKA__BOOTSTRAP_SERVERS=broker:9092 connect-worker
  curl -X POST -H 'Content-Type: application/json' -d @connectors/orders-sink.json http://127.0.0.1:8083/connectors
  connect-worker --standalone worker.properties sink.properties source.properties
  connect-worker --health && echo ready";

#[tokio::main]
async fn main() -> ExitCode {
    service::report(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings: Settings = settings::load("CONNECT_WORKER", arguments.config.as_deref())?;
    if arguments.health {
        return Ok(ask_ready(settings.http.bind)?);
    }
    telemetry::init(&settings.log);
    let env = EnvSource::process();
    let worker = match arguments.standalone {
        Some(file) => {
            let worker = read_worker(&file, settings)?;
            let connectors = arguments.connectors.iter();
            let connectors: Result<_, _> = connectors.map(|file| read_connector(file)).collect();
            connect_worker::start_standalone(worker, connectors?, env).await?
        }
        None => connect_worker::start(settings, env).await?,
    };
    service::run(worker)
        .await
        .map_err(anyhow::Error::from_boxed)
}
