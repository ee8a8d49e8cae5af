//! The console's process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use console::Settings;
use shared::http::ask_ready;
use shared::{service, settings, telemetry};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A web page that shows in one glance whether a pair is right and fast.
///
/// Looks from outside: what it shows need not be there yet. Ctrl-C or SIGTERM ends it.
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
Settings: the defaults, then the file, then variables of the form CONSOLE__LEVEL__NAME.
config/console.toml has all of them with their defaults. RUST_LOG chooses what is logged.

Exit status: 0 stopped (or --health: ready), 1 cannot start or go on (or not ready), 2 bad arguments.

Examples:
  console --config config/console.toml
  CONSOLE__KAFKA__BOOTSTRAP_SERVERS=broker:9092 CONSOLE__ORDER_SERVICES=http://orders:8081 console
  CONSOLE__ORDERS_DATABASE__URL=mysql://reader:secret@db:3306/orders console
  console --health && echo ready";

#[tokio::main]
async fn main() -> ExitCode {
    service::report(run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings: Settings = settings::load("CONSOLE", arguments.config.as_deref())?;
    if arguments.health {
        return Ok(ask_ready(settings.http.bind)?);
    }
    telemetry::init(&settings.log);
    let service = console::start(settings).await?;
    service::run(service)
        .await
        .map_err(anyhow::Error::from_boxed)
}
