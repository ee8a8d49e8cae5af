//! The catalog-service's process.

use std::path::PathBuf;
use std::process::ExitCode;

use catalog_service::Settings;
use clap::Parser;
use shared::http::ask_ready;
use shared::{service, settings, telemetry};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Turns the quantity deltas of orders into stock, and serves the stock over HTTP.
///
/// Starts without its broker and its database, and waits for them; Ctrl-C or SIGTERM ends it, once
/// what is in flight is done.
#[derive(Parser)]
#[command(version, help_expected = true, after_help = HELP)]
struct Arguments {
    /// A TOML file of settings; without it, the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Asks the one that runs here, by the same settings, whether it is ready; exits with 0 if so.
    #[arg(long)]
    health: bool,
}

const HELP: &str = "\
Settings: the defaults, then the file, then variables of the form CATALOG_SERVICE__LEVEL__NAME.
config/catalog-service.toml has all of them with their defaults. RUST_LOG chooses what is logged.

Exit status: 0 stopped (or --health: ready), 1 cannot start or go on (or not ready), 2 bad arguments.

Examples:
  catalog-service --config config/catalog-service.toml
  CATALOG_SERVICE__KAFKA__BOOTSTRAP_SERVERS=broker:9092 catalog-service
  CATALOG_SERVICE__HTTP__BIND=127.0.0.1:8092 catalog-service
  catalog-service --health && echo ready";

#[tokio::main]
async fn main() -> ExitCode {
    service::report(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings: Settings = settings::load("CATALOG_SERVICE", arguments.config.as_deref())?;
    if arguments.health {
        return Ok(ask_ready(settings.http.bind)?);
    }
    telemetry::init(&settings.log);
    let service = catalog_service::start(settings).await?;
    service::run(service)
        .await
        .map_err(anyhow::Error::from_boxed)
}
