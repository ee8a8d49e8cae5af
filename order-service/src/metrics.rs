use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::publisher::PublishError;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// What the publisher does, for `/metrics`.
#[derive(Debug)]
pub(crate) struct PublishMetrics {
    publications: Family<ResultLabel, Counter>,
    transaction_size: Histogram,
    commit_duration: Histogram,
    pub(crate) aborted: Counter,
    pub(crate) lost_sessions: Counter,
}

impl PublishMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            publications: Family::default(),
            transaction_size: Histogram::new(exponential_buckets(1.0, 4.0, 7)),
            commit_duration: Histogram::new(exponential_buckets(0.001, 2.0, 13)),
            aborted: Counter::default(),
            lost_sessions: Counter::default(),
        };
        // Those that have not happened yet are 0, so that a first one is an increase.
        for result in ["committed", "queue_full", "not_sent", "outcome_unknown"] {
            drop(metrics.publications.get_or_create(&ResultLabel { result }));
        }
        registry.register(
            "publications",
            "Orders and cancellations by what became of them",
            metrics.publications.clone(),
        );
        registry.register(
            "transaction_size",
            "Orders and cancellations in one Kafka transaction",
            metrics.transaction_size.clone(),
        );
        registry.register(
            "transaction_commit_duration_seconds",
            "Time from the last record to the commit",
            metrics.commit_duration.clone(),
        );
        registry.register(
            "aborted_transactions",
            "Transactions not confirmed in time; what was in them is sent again",
            metrics.aborted.clone(),
        );
        registry.register(
            "lost_sessions",
            "Times that the sessions of the producers were given up after an error",
            metrics.lost_sessions.clone(),
        );
        metrics
    }

    pub(crate) fn count(&self, result: Result<(), PublishError>) {
        let result = match result {
            Ok(()) => "committed",
            Err(PublishError::QueueFull) => "queue_full",
            Err(PublishError::NotSent) => "not_sent",
            Err(PublishError::OutcomeUnknown) => "outcome_unknown",
        };
        self.publications
            .get_or_create(&ResultLabel { result })
            .inc();
    }

    pub(crate) fn committed(&self, size: usize, took: Duration) {
        self.transaction_size
            .observe(f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
        self.commit_duration.observe(took.as_secs_f64());
    }
}

/// As Kafka Connect names them, and two more: not registered, and not to be asked.
const CONNECTOR_STATES: [&str; 8] = [
    "RUNNING",
    "PAUSED",
    "STOPPED",
    "FAILED",
    "RESTARTING",
    "UNASSIGNED",
    "MISSING",
    "UNREACHABLE",
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    connector: String,
    state: &'static str,
}

/// What the registrar sees of its connector.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectorState(Family<StateLabels, Gauge>);

impl ConnectorState {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let state = Self::default();
        registry.register(
            "connector_state",
            "1 for the state that the sink's connector is in, 0 for the others",
            state.0.clone(),
        );
        state
    }

    pub(crate) fn is(&self, connector: &str, found: &str) {
        for state in CONNECTOR_STATES {
            let labels = StateLabels {
                connector: connector.to_owned(),
                state,
            };
            self.0.get_or_create(&labels).set(i64::from(state == found));
        }
    }
}
