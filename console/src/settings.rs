use serde::{Deserialize, Serialize};
use shared::kafka::{DeadLetterTopic, KafkaSettings, LetterForm};
use shared::settings::{DatabaseSettings, HttpSettings, LogSettings, Secret, list};
use tokio::sync::{mpsc, oneshot};

/// Where the pair is, and where the page is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub http: HttpSettings,
    pub kafka: KafkaSettings,
    pub topics: Topics,
    /// Base URLs, as `http://127.0.0.1:8081`; in an environment variable separated by commas.
    /// Here and below: a name stands for all of its addresses.
    #[serde(deserialize_with = "list")]
    pub order_services: Vec<String>,
    pub catalog_service: String,
    /// The catalog-service's consumer group.
    pub catalog_group: String,
    /// Kafka Connect's REST API, or connect-worker's.
    pub connect: String,
    /// The name of the sink's connector.
    pub connector: String,
    /// Sent to the services as a bearer token: they may ask for one.
    pub token: Secret,
    /// Read only.
    pub orders_database: DatabaseSettings,
    pub catalog_database: DatabaseSettings,
    pub log: LogSettings,
    /// Where the naive twin has its tables, for a race.
    #[serde(skip)]
    pub naive_database: DatabaseSettings,
    /// Who breaks parts of the pair when asked to; without, the page offers nothing of it, and
    /// no race.
    #[serde(skip)]
    pub breaker: Option<mpsc::Sender<Blow>>,
}

impl Default for Settings {
    fn default() -> Self {
        let local = |port: u16| format!("http://127.0.0.1:{port}");
        Self {
            http: HttpSettings {
                workers: 1,
                ..HttpSettings::on_port(8080)
            },
            kafka: KafkaSettings::default(),
            topics: Topics::default(),
            order_services: vec![local(8081), local(8091)],
            catalog_service: local(8082),
            catalog_group: "catalog-service".to_owned(),
            connect: local(8083),
            connector: "orders-sink".to_owned(),
            token: Secret::default(),
            orders_database: DatabaseSettings::at("sqlite://data/orders.db?mode=rw"),
            catalog_database: DatabaseSettings::at("sqlite://data/catalog.db?mode=rw"),
            log: LogSettings::default(),
            naive_database: DatabaseSettings::default(),
            breaker: None,
        }
    }
}

/// A service's list of dead letters.
#[derive(Debug, Clone)]
pub(crate) struct LetterSource {
    /// The part of the pair, as the page knows it.
    pub(crate) name: &'static str,
    pub(crate) url: String,
    /// Where they are, if the service may have no list of them: Kafka Connect has none.
    pub(crate) topic: Option<DeadLetterTopic>,
}

impl Settings {
    pub(crate) fn letter_sources(&self) -> [LetterSource; 2] {
        let Self {
            connect, connector, ..
        } = self;
        [
            LetterSource {
                name: "catalog-service",
                url: format!("{}/dead-letters", self.catalog_service),
                topic: None,
            },
            LetterSource {
                name: "sink",
                url: format!("{connect}/connectors/{connector}/dead-letters"),
                topic: Some(DeadLetterTopic {
                    kafka: self.kafka.clone(),
                    name: format!("{connector}.dlq"),
                    form: LetterForm::Connect,
                }),
            },
        ]
    }
}

/// Something to be done to a part of the pair.
#[derive(Debug)]
pub struct Blow {
    /// `order-service-1`, `order-service-2`, …, `catalog-service` or `sink`.
    pub part: String,
    pub deed: Deed,
    /// Hears when it is done, or why not.
    pub done: oneshot::Sender<Result<(), String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Kill,
    Start,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    pub orders: String,
    pub catalog_deltas: String,
    pub order_outcomes: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            orders: "orders".to_owned(),
            catalog_deltas: "catalog_deltas".to_owned(),
            order_outcomes: "order_outcomes".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/console.toml");
        let found: Settings =
            shared::settings::load("TEST_CONSOLE", Some(Path::new(file))).unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", Settings::default()));
    }
}
