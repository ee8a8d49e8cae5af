use serde::{Deserialize, Serialize};
use shared::kafka::KafkaSettings;
use shared::settings::{HttpSettings, LogSettings};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub http: HttpSettings,
    pub kafka: KafkaSettings,
    pub log: LogSettings,
}

impl Default for Settings {
    fn default() -> Self {
        let http = HttpSettings {
            workers: 1,
            ..HttpSettings::on_port(8083)
        };
        Self {
            http,
            kafka: KafkaSettings::default(),
            log: LogSettings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/connect-worker.toml");
        let mut found: Settings =
            shared::settings::load("TEST_CONNECT_WORKER", Some(Path::new(file))).unwrap();
        let defaults = Settings::default();
        found.http.workers = defaults.http.workers;
        assert_eq!(format!("{found:?}"), format!("{defaults:?}"));
    }
}
