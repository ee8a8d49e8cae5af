//! Logs: `tracing` to standard output, as text or as one JSON object a line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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

/// Takes a log filter. Refuses what `EnvFilter` would skip, and a word that it would take for a
/// module's name: a misspelt level would leave no line at all.
pub fn filter(text: &str) -> Result<String, String> {
    for directive in text.split(',') {
        let is_word = !directive.contains(['=', '[']);
        if is_word && directive.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "`{directive}` is none of error, warn, info, debug, trace and off, nor of the form \
                 module=level"
            ));
        }
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("`{text}`: {error}")),
    }
}
