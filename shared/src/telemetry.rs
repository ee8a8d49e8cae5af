//! Logs: `tracing` to standard output, as text or as one JSON object a line.

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// Installs the process-wide subscriber. A second call in one process changes nothing.
pub fn init(settings: &LogSettings) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        // librdkafka repeats what we log once, where it is handled.
        EnvFilter::new(format!("{},librdkafka=off,sqlx=warn", settings.level))
    });
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    let installed = match settings.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "logging is already set up");
    }
}
