use std::collections::BTreeSet;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rdkafka::Statistics;
use rdkafka::statistics::Topic;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Labels {
    group: String,
    topic: String,
    client: String,
}

/// How far the consumers of this process are behind, as librdkafka counts it.
///
/// After a transaction its marker counts as well, which nobody reads: up to one record per
/// partition is none.
#[derive(Debug, Clone, Default)]
pub struct ConsumerLag(Family<Labels, Gauge>);

impl ConsumerLag {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "consumer_lag_records",
            "Records of the partitions assigned here that the group has not committed yet",
            self.0.clone(),
        );
    }
}

/// One consumer's part of it, which ends with the consumer.
pub(super) struct OwnLag {
    lag: ConsumerLag,
    group: String,
    told: Mutex<BTreeSet<Labels>>,
}

impl OwnLag {
    pub(super) fn new(lag: &ConsumerLag, group: &str) -> Self {
        Self {
            lag: lag.clone(),
            group: group.to_owned(),
            told: Mutex::default(),
        }
    }

    pub(super) fn update(&self, statistics: &Statistics) {
        for (name, topic) in &statistics.topics {
            let labels = Labels {
                group: self.group.clone(),
                topic: name.clone(),
                client: statistics.client_id.clone(),
            };
            self.lag.0.get_or_create(&labels).set(records(topic));
            self.told.lock().insert(labels);
        }
    }
}

impl Drop for OwnLag {
    fn drop(&mut self) {
        for labels in self.told.get_mut().iter() {
            self.lag.0.remove(labels);
        }
    }
}

/// Partitions that were taken away are still there, but not read from; those whose offset is
/// not known yet have a lag of -1.
fn records(topic: &Topic) -> i64 {
    let partitions = topic.partitions.values();
    let read = partitions.filter(|partition| partition.fetch_state == "active");
    read.map(|partition| partition.consumer_lag.max(0)).sum()
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Partition;

    use super::*;

    #[test]
    fn only_what_is_read_here_counts_and_only_while_it_is() {
        let partition = |fetch_state: &str, consumer_lag| Partition {
            fetch_state: fetch_state.to_owned(),
            consumer_lag,
            ..Partition::default()
        };
        let mut topic = Topic::default();
        topic.partitions.extend([
            (0, partition("active", 7)),
            (1, partition("active", -1)),
            (2, partition("none", 100)),
        ]);
        let mut statistics = Statistics::default();
        statistics.topics.insert("orders".to_owned(), topic);
        let mut registry = Registry::default();
        let lag = ConsumerLag::default();
        lag.register(&mut registry);
        let shown = |registry: &Registry| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
            text
        };

        let own = OwnLag::new(&lag, "sink");
        own.update(&statistics);
        let series = "consumer_lag_records{group=\"sink\",topic=\"orders\",client=\"\"} 7\n";
        assert!(shown(&registry).contains(series), "{}", shown(&registry));
        drop(own);
        assert!(!shown(&registry).contains("orders"));
    }
}
