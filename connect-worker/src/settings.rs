use serde::{Deserialize, Serialize};
use shared::kafka::{KafkaSettings, TopicSettings};
use shared::settings::{HttpSettings, LogSettings};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub http: HttpSettings,
    pub kafka: KafkaSettings,
    pub store: StoreSettings,
    /// The compacted topic of the sources' offsets.
    pub offset_storage: TopicSettings,
    pub log: LogSettings,
}

/// Where connectors are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// A compacted topic of one partition. Workers with the same one are one cluster: one
    /// of them runs the connectors, the others stand by. Empty: in memory.
    pub configs_topic: String,
    /// Replicas of the topic, if it has to be created.
    pub replication: i32,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            configs_topic: "connect-worker-configs".to_owned(),
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
            offset_storage: TopicSettings::new("connect-offsets", 1),
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
