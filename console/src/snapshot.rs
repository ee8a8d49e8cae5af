use serde::Serialize;
use shared::contract::{OrderId, ProductId, Reason, Status};

use crate::race::Score;

/// What an open page shows. Times are milliseconds, rates per second.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    pub(crate) services: Vec<ServiceState>,
    pub(crate) topics: Vec<TopicState>,
    /// Why the broker cannot be asked.
    pub(crate) broker: Option<String>,
    pub(crate) databases: Vec<DatabaseState>,
    pub(crate) products: Vec<Product>,
    pub(crate) orders: Vec<Journey>,
    pub(crate) burst: Burst,
    pub(crate) proof: Proof,
    pub(crate) dead_letters: Letters,
    pub(crate) breakable: bool,
    pub(crate) race: Option<Score>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServiceState {
    /// `order-service`, `catalog-service` or `sink`.
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) state: State,
    /// What is wrong, for people.
    pub(crate) note: String,
    /// Where it has metrics: Kafka Connect has none.
    pub(crate) rate: Option<f64>,
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Ready,
    Degraded,
    Unready,
    Paused,
    /// Nobody listens, or nobody answers.
    Away,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct TopicState {
    pub(crate) name: String,
    pub(crate) rate: f64,
    /// Records that the topic has.
    pub(crate) size: i64,
    pub(crate) readers: Vec<Lag>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lag {
    pub(crate) reader: &'static str,
    /// Records that the reader has not committed yet.
    pub(crate) lag: i64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct DatabaseState {
    pub(crate) name: &'static str,
    pub(crate) up: bool,
    pub(crate) note: String,
    /// How long the last look took.
    pub(crate) latency: Option<f64>,
}

#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub(crate) struct Product {
    pub(crate) product_id: ProductId,
    pub(crate) name: String,
    pub(crate) unit_price: i64,
    pub(crate) qty: i64,
}

/// An order's way, as seen from outside: milliseconds since the order-service accepted it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Journey {
    pub(crate) id: OrderId,
    pub(crate) product_id: ProductId,
    pub(crate) qty: i32,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    /// Milliseconds since 1970.
    pub(crate) accepted_at: i64,
    pub(crate) committed: Option<i64>,
    pub(crate) applied: Option<i64>,
    pub(crate) visible: Option<i64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Burst {
    pub(crate) running: bool,
    pub(crate) asked: u32,
    pub(crate) acknowledged: u32,
    /// Sent again under the same key, after a broken connection, a 503 or a 504.
    pub(crate) repeated: u32,
    pub(crate) refused: u32,
    pub(crate) unknown: u32,
    pub(crate) rate: f64,
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

/// The dead letters that wait to be put back.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Letters {
    /// As their services list them, with their `source`.
    pub(crate) newest: Vec<serde_json::Value>,
    pub(crate) count: usize,
    /// Whether there are more than were counted.
    pub(crate) has_more: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Proof {
    pub(crate) lines: Vec<Line>,
    /// Committed orders that are not decided yet, and decisions whose rows are not written.
    pub(crate) undecided: usize,
    pub(crate) unwritten: usize,
    /// How old the oldest of both is.
    pub(crate) oldest: i64,
    /// Orders that came before the topics were read, or while too many were open to follow another.
    pub(crate) unfollowed: u64,
    /// What cannot be read for now, and why: nothing of it is checked.
    pub(crate) unread: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: &'static str,
    pub(crate) checked: u64,
    pub(crate) violated: u64,
    /// The first offenders.
    pub(crate) first: Vec<String>,
}
