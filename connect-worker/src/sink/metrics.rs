use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use shared::contract::Timestamp;
use shared::kafka::ConsumerLag;

use super::task::TaskId;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    connector: String,
    task: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectorLabels {
    connector: String,
}

/// The sinks' metrics, by connector and task.
#[derive(Debug, Clone)]
pub struct SinkMetrics {
    records: Family<Labels, Counter>,
    dead_letters: Family<Labels, Counter>,
    waiting: Family<ConnectorLabels, Gauge>,
    retries: Family<Labels, Counter>,
    batch: Family<Labels, Histogram>,
    age: Family<Labels, Histogram>,
    lag: ConsumerLag,
}

/// One task's metrics.
#[derive(Debug, Clone)]
pub(super) struct TaskMetrics {
    records: Counter,
    dead_letters: Counter,
    retries: Counter,
    batch: Histogram,
    age: Histogram,
    pub(super) lag: ConsumerLag,
}

impl SinkMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            records: Family::default(),
            dead_letters: Family::default(),
            waiting: Family::default(),
            retries: Family::default(),
            // 1 ms to 8 s.
            batch: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 14))
            }),
            // 10 ms to 11 min.
            age: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 4.0, 9))),
            lag: ConsumerLag::default(),
        };
        metrics.lag.register(registry);
        let registry = registry.sub_registry_with_prefix("connect_worker_sink");
        registry.register("records", "Records taken care of", metrics.records.clone());
        registry.register(
            "dead_letters",
            "Records put into the dead-letter topic",
            metrics.dead_letters.clone(),
        );
        registry.register(
            "dead_letters_waiting",
            "Dead letters that nobody has put back",
            metrics.waiting.clone(),
        );
        registry.register(
            "retries",
            "Attempts to write a batch again",
            metrics.retries.clone(),
        );
        registry.register(
            "batch_duration_seconds",
            "From taking a batch to having it in the database",
            metrics.batch.clone(),
        );
        registry.register(
            "record_age_seconds",
            "Age of each batch's oldest record once it is in the database",
            metrics.age.clone(),
        );
        metrics
    }

    /// How many of a connector's dead letters nobody has put back.
    pub fn waiting(&self, connector: &str) -> Gauge {
        let labels = ConnectorLabels::of(connector);
        self.waiting.get_or_create(&labels).clone()
    }

    /// For a connector whose dead letters are counted no more.
    pub fn forget_waiting(&self, connector: &str) {
        self.waiting.remove(&ConnectorLabels::of(connector));
    }

    pub(super) fn of(&self, task: &TaskId) -> TaskMetrics {
        let labels = Labels {
            connector: task.connector.clone(),
            task: task.number,
        };
        TaskMetrics {
            records: self.records.get_or_create(&labels).clone(),
            dead_letters: self.dead_letters.get_or_create(&labels).clone(),
            retries: self.retries.get_or_create(&labels).clone(),
            batch: self.batch.get_or_create(&labels).clone(),
            age: self.age.get_or_create(&labels).clone(),
            lag: self.lag.clone(),
        }
    }
}

impl ConnectorLabels {
    fn of(connector: &str) -> Self {
        Self {
            connector: connector.to_owned(),
        }
    }
}

impl TaskMetrics {
    pub(super) fn batch(&self, records: usize, dead_letters: usize, took: Duration) {
        self.records
            .inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        self.dead_letters
            .inc_by(u64::try_from(dead_letters).unwrap_or(u64::MAX));
        self.batch.observe(took.as_secs_f64());
    }

    /// `written_at` is the timestamp of the oldest record, in milliseconds since 1970.
    pub(super) fn oldest(&self, written_at: i64) {
        let age = Timestamp::now().millis() - written_at;
        self.age
            .observe(Duration::from_millis(u64::try_from(age).unwrap_or(0)).as_secs_f64());
    }

    pub(super) fn retry(&self) {
        self.retries.inc();
    }
}
