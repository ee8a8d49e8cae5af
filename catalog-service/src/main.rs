use std::path::PathBuf;
use std::process::ExitCode;

use catalog_service::Settings;
use clap::Parser;

/// Turns the quantity deltas of orders into stock, and serves the stock over HTTP.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Settings in TOML; `CATALOG_SERVICE__…` variables win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let loaded = shared::settings::load::<Settings>("CATALOG_SERVICE", arguments.config.as_deref());
    let settings = loaded.inspect_err(|_| shared::telemetry::init(&Settings::default().log))?;
    shared::telemetry::init(&settings.log);
    let service = catalog_service::start(settings).await?;
    shared::service::run(service).await.map_err(anyhow::Error::from_boxed)
}
