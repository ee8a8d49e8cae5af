use serde::{Deserialize, Serialize};
use shared::kafka::KafkaSettings;
use shared::settings::{HttpSettings, LogSettings};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub http: HttpSettings,
    pub kafka: KafkaSettings,
    pub store: StoreSettings,
    pub log: LogSettings,
}

/// Where connectors, and how far they are, are kept: compacted topics of one partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Connectors and their target states. Workers with the same topic are one cluster: one
    /// of them runs the connectors, the others stand by. Empty: in memory.
    pub configs_topic: String,
    /// How far each source has read. Made when the first source is.
    pub offsets_topic: String,
    /// Replicas of a topic that has to be created.
    pub replication: i32,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            configs_topic: "connect-worker-configs".to_owned(),
            offsets_topic: "connect-worker-offsets".to_owned(),
            replication: 1,
        }
    }
}

impl StoreSettings {
    /// For a worker that is alone and told its connectors at every start.
    pub fn in_memory() -> Self {
        Self {
            configs_topic: String::new(),
            ..Self::default()
        }
    }
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
            store: StoreSettings::default(),
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
