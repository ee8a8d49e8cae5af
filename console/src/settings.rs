use shared::kafka::KafkaSettings;
use shared::settings::{DatabaseSettings, HttpSettings};
use tokio::sync::{mpsc, oneshot};

/// Where the pair is, and where the page is served.
#[derive(Debug, Clone)]
pub struct Settings {
    pub http: HttpSettings,
    pub kafka: KafkaSettings,
    pub topics: Topics,
    /// Base URLs, as `http://127.0.0.1:8081`.
    pub order_services: Vec<String>,
    pub catalog_service: String,
    /// Kafka Connect's REST API, or connect-worker's.
    pub connect: String,
    /// The name of the sink's connector.
    pub connector: String,
    /// Read only.
    pub orders_database: DatabaseSettings,
    pub catalog_database: DatabaseSettings,
    /// Where the naive twin has its tables, for a race.
    pub naive_database: DatabaseSettings,
    /// Who breaks parts of the pair when asked to; without, the page offers nothing of it, and
    /// no race.
    pub breaker: Option<mpsc::Sender<Blow>>,
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

#[derive(Debug, Clone)]
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
