//! Logs: `tracing` to standard output, as text or as one JSON object a line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// Installs the process-wide subscriber. A second call in one process changes nothing.
pub fn init(settings: &LogSettings) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        // What these say in passing, we say once, where it is handled.
        EnvFilter::new(format!(
            "{},actix_server=warn,librdkafka=off,opentelemetry=warn,rdkafka=off,sea_orm_migration=warn,sqlx=warn",
            settings.level
        ))
    });
    let colours = std::io::stdout().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours);
    let installed = match settings.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "logging is already set up");
    }
}
