use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shared::kafka::{KafkaSettings, TopicSettings};
use shared::settings::{DatabaseSettings, HttpSettings, LogSettings, Secret, positive};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Names this instance to the broker: stable over restarts, different between
    /// instances. Empty: `<host name>-<port>`.
    pub instance_id: String,
    pub http: HttpSettings,
    pub kafka: KafkaSettings,
    pub topics: Topics,
    pub publisher: PublisherSettings,
    pub tail: TailSettings,
    pub database: DatabaseSettings,
    pub connect: ConnectSettings,
    pub log: LogSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            instance_id: String::new(),
            http: HttpSettings::on_port(8081),
            kafka: KafkaSettings::default(),
            topics: Topics::default(),
            publisher: PublisherSettings::default(),
            tail: TailSettings::default(),
            database: DatabaseSettings::at("sqlite://data/orders.db?mode=rwc"),
            connect: ConnectSettings::default(),
            log: LogSettings::default(),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    pub orders: TopicSettings,
    pub catalog_deltas: TopicSettings,
    pub order_outcomes: TopicSettings,
    pub orders_sink_dlq: TopicSettings,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            orders: TopicSettings::new("orders", 6),
            catalog_deltas: TopicSettings::new("catalog_deltas", 3),
            order_outcomes: TopicSettings::new("order_outcomes", 3),
            orders_sink_dlq: TopicSettings::new("orders-sink.dlq", 1),
        }
    }
}

impl Topics {
    pub(crate) fn all(&self) -> [TopicSettings; 4] {
        [
            &self.orders,
            &self.catalog_deltas,
            &self.order_outcomes,
            &self.orders_sink_dlq,
        ]
        .map(Clone::clone)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublisherSettings {
    /// Orders that may wait for a transaction; beyond it the answer is 503.
    #[serde(deserialize_with = "positive")]
    pub queue: usize,
    /// The most orders in one transaction.
    #[serde(deserialize_with = "positive")]
    pub max_batch: usize,
    /// How long a request waits for its commit, in milliseconds.
    pub deadline_ms: u64,
    /// How long the broker keeps a dead instance's transaction open, in milliseconds.
    pub transaction_timeout_ms: u64,
}

impl Default for PublisherSettings {
    fn default() -> Self {
        Self {
            queue: 10_000,
            max_batch: 2_000,
            deadline_ms: 5_000,
            transaction_timeout_ms: 10_000,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TailSettings {
    /// How far back the tail reaches, in seconds.
    pub window_s: u64,
    /// The most that it keeps, in bytes.
    pub max_bytes: usize,
}

impl Default for TailSettings {
    fn default() -> Self {
        Self {
            window_s: 30,
            max_bytes: 4 * 1024 * 1024,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectSettings {
    /// Where Kafka Connect, or connect-worker, answers. Empty: nothing is registered.
    pub url: String,
    /// A connector's JSON; the default is `connectors/orders-sink.json`, compiled in.
    pub connector: Option<PathBuf>,
    /// Sent as a bearer token: connect-worker may ask for one.
    pub token: Secret,
    /// How often the connector is looked after, in seconds.
    #[serde(deserialize_with = "positive")]
    pub every_s: u64,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8083".to_owned(),
            connector: None,
            token: Secret::default(),
            every_s: 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/order-service.toml");
        let mut found: Settings =
            shared::settings::load("TEST_ORDER_SERVICE", Some(Path::new(file))).unwrap();
        let defaults = Settings::default();
        found.http.workers = defaults.http.workers;
        assert_eq!(format!("{found:?}"), format!("{defaults:?}"));
    }
}
