//! The connect-worker's process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use connect_worker::{EnvSource, Settings};
use shared::http::ask_ready;
use shared::{service, settings, telemetry};

/// Kafka Connect's JDBC sink, source and REST API in one small process.
///
/// Settings come from the defaults, then the file, then environment variables such as
/// CONNECT_WORKER__KAFKA__BOOTSTRAP_SERVERS.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A TOML file of settings.
    #[arg(long)]
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
    let settings: Settings = settings::load("CONNECT_WORKER", arguments.config.as_deref())?;
    if arguments.health {
        return Ok(ask_ready(settings.http.bind)?);
    }
    telemetry::init(&settings.log);
    let worker = connect_worker::start(settings, EnvSource::process()).await?;
    service::run(worker)
        .await
        .map_err(anyhow::Error::from_boxed)
}
