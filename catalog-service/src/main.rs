//! The catalog-service's process.

use std::path::PathBuf;
use std::process::ExitCode;

use catalog_service::Settings;
use clap::Parser;
use shared::http::ask_ready;
use shared::{service, settings, telemetry};

/// Turns the quantity deltas of orders into stock, and serves the stock over HTTP.
///
/// Settings come from the defaults, then the file, then environment variables such as
/// CATALOG_SERVICE__KAFKA__BOOTSTRAP_SERVERS.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Asks the one that runs here, by the same settings, whether it is ready; exits with 0 if so.
    #[arg(long)]
    health: bool,
}

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
