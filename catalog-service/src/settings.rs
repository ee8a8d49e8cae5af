use serde::{Deserialize, Serialize};
use shared::kafka::{KafkaSettings, TopicSettings};
use shared::settings::{DatabaseSettings, HttpSettings, LogSettings, positive};

/// Everything that can be set; see `config/catalog-service.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub http: HttpSettings,
    pub kafka: KafkaSettings,
    pub topics: Topics,
    /// The consumer group. Instances of one group share the partitions.
    pub group: String,
    pub database: DatabaseSettings,
    pub applier: ApplierSettings,
    pub log: LogSettings,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    pub catalog_deltas: TopicSettings,
    pub order_outcomes: TopicSettings,
    pub dead_letters: TopicSettings,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApplierSettings {
    /// The most deltas in one database transaction.
    #[serde(deserialize_with = "positive")]
    pub max_batch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http: HttpSettings::on_port(8082),
            kafka: KafkaSettings::default(),
            topics: Topics::default(),
            group: "catalog-service".to_owned(),
            database: DatabaseSettings::at("sqlite://data/catalog.db?mode=rwc"),
            applier: ApplierSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            catalog_deltas: TopicSettings::new("catalog_deltas", 3),
            order_outcomes: TopicSettings::new("order_outcomes", 3),
            dead_letters: TopicSettings::new("catalog_deltas.dlq", 1),
        }
    }
}

impl Default for ApplierSettings {
    fn default() -> Self {
        Self { max_batch: 2_048 }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../config/catalog-service.toml"
        );
        let mut found: Settings =
            shared::settings::load("TEST_CATALOG_SERVICE", Some(Path::new(file))).unwrap();
        let defaults = Settings::default();
        found.http.workers = defaults.http.workers;
        assert_eq!(format!("{found:?}"), format!("{defaults:?}"));
    }
}
