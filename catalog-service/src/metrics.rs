use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use shared::contract::{Delta, Status};
use shared::kafka::ConsumerLag;

use crate::applier::{BadDelta, Decision};

/// What the applier counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    deltas: Family<DeltaLabels, Counter>,
    pub(crate) conflicts: Counter,
    pub(crate) bisections: Counter,
    pub(crate) failures: Counter,
    pub(crate) dead_letters: Gauge,
    pub(crate) lag: ConsumerLag,
    batch_size: Histogram,
    batch_duration: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeltaLabels {
    kind: &'static str,
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            deltas: Family::default(),
            conflicts: Counter::default(),
            bisections: Counter::default(),
            failures: Counter::default(),
            dead_letters: Gauge::default(),
            lag: ConsumerLag::default(),
            batch_size: Histogram::new(exponential_buckets(1.0, 4.0, 7)),
            batch_duration: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
        }
    }
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        self.lag.register(registry);
        registry.register(
            "catalog_deltas",
            "Deltas by what became of them",
            self.deltas.clone(),
        );
        let counters = [
            (
                "catalog_conflicts",
                "Transactions begun again after a rival's",
                &self.conflicts,
            ),
            (
                "catalog_bisections",
                "Batches split to isolate a bad delta",
                &self.bisections,
            ),
            (
                "catalog_failures",
                "Attempts that broken infrastructure ended",
                &self.failures,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "catalog_dead_letters",
            "Dead letters that nobody has put back",
            self.dead_letters.clone(),
        );
        registry.register(
            "catalog_batch_size",
            "Records per batch",
            self.batch_size.clone(),
        );
        registry.register_with_unit(
            "catalog_batch_duration",
            "Time from a batch's arrival to its commit",
            Unit::Seconds,
            self.batch_duration.clone(),
        );
    }

    pub(crate) fn observe_batch(
        &self,
        records: &[Result<Delta, BadDelta>],
        decisions: &[Decision],
        duration: Duration,
    ) {
        for (record, decision) in records.iter().zip(decisions) {
            let kind = record
                .as_ref()
                .map_or("unknown", |delta| delta.kind.as_str());
            let labels = DeltaLabels {
                kind,
                outcome: outcome(decision),
            };
            self.deltas.get_or_create(&labels).inc();
        }
        self.batch_size
            .observe(f64::from(u32::try_from(records.len()).unwrap_or(u32::MAX)));
        self.batch_duration.observe(duration.as_secs_f64());
    }
}

fn outcome(decision: &Decision) -> &'static str {
    match decision {
        Decision::Applied(None) => "nothing_to_release",
        Decision::Applied(Some(fact)) => match fact.status {
            Status::Confirmed => "confirmed",
            Status::Cancelled => "cancelled",
            Status::Rejected | Status::Pending => "rejected",
        },
        Decision::Repeated(_) => "repeated",
        Decision::Bad(_) => "dead_letter",
    }
}
