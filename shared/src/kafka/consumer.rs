use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, Statistics, TopicPartitionList};

use super::lag::{ConsumerLag, OwnLag};
use super::settings::{set_default, without_value};

/// Where a batch ends, at the latest.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub records: usize,
    /// A batch of large records ends early.
    pub bytes: usize,
}

impl BatchLimits {
    /// At most so many records, and 8 MiB.
    pub fn records(records: usize) -> Self {
        Self {
            records: records.max(1),
            bytes: 8 * 1024 * 1024,
        }
    }
}

/// A member of a consumer group that hands out batches and commits what its caller has
/// handled.
///
/// A batch that its caller cannot handle yet is simply not committed: after a crash or a
/// rebalance it is delivered again, here or elsewhere, and so is what was handled last.
pub struct BatchConsumer {
    consumer: StreamConsumer<Events>,
    group: String,
    limits: BatchLimits,
}

/// What the consumer reports is not the broker's state but an event of the past: to wait longer
/// after each would leave a broker that is back unread until all of them are worked off.
pub const BETWEEN_EVENTS: Duration = Duration::from_millis(50);

/// How often librdkafka counts how far a consumer is behind, in milliseconds.
const STATISTICS: &str = "5000";

/// How often it commits what is handled, in milliseconds. A commit after each batch would be a fifth
/// of all that a broker is asked for while there are few orders.
const COMMITS: &str = "100";

impl BatchConsumer {
    /// `config` names the group.
    pub fn subscribe(
        config: &ClientConfig,
        topics: &[&str],
        limits: BatchLimits,
    ) -> KafkaResult<Self> {
        let mut config = config.clone();
        set_default(&mut config, "statistics.interval.ms", STATISTICS);
        config
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", COMMITS)
            // Only what is handled.
            .set("enable.auto.offset.store", "false");
        let consumer: StreamConsumer<Events> = config
            .create_with_context(Events::default())
            .map_err(without_value)?;
        consumer.subscribe(topics)?;
        Ok(Self {
            consumer,
            group: config.get("group.id").unwrap_or_default().to_owned(),
            limits,
        })
    }

    /// From now on `lag` has how far this consumer is behind, until it is closed.
    pub fn report(&self, lag: &ConsumerLag) {
        let own = OwnLag::new(lag, &self.group);
        // The first one stays.
        self.consumer.context().lag.set(own).ok();
    }

    /// Waits for a record, then takes those that are already here.
    ///
    /// Records of a partition that is taken away meanwhile are dropped from the batch: its
    /// new owner gets them, and may have written newer ones by the time we would write.
    ///
    /// Cancel-safe.
    pub async fn next_batch(&self) -> KafkaResult<Vec<BorrowedMessage<'_>>> {
        let first = self.consumer.recv().await?;
        self.consumer.context().take_revoked();
        let mut bytes = payload_len(&first);
        let mut batch = vec![first];
        let mut stream = self.consumer.stream();
        while batch.len() < self.limits.records && bytes < self.limits.bytes {
            let next = stream.next().now_or_never().flatten();
            // What was taken away before this record came does not concern it.
            let revoked = self.consumer.context().take_revoked();
            if !revoked.is_empty() {
                batch.retain(|message: &BorrowedMessage<'_>| !is_of(&revoked, message));
            }
            match next {
                Some(Ok(message)) => {
                    bytes += payload_len(&message);
                    batch.push(message);
                }
                // An error comes again with the next call, if it lasts.
                Some(Err(_)) | None => break,
            }
        }
        Ok(batch)
    }

    /// Whether the group gave this member's partitions to others, for it took no batch within
    /// `max.poll.interval.ms` or was not heard of.
    pub fn is_expelled(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// The offsets behind a batch are to be committed: within 100 ms, or when its partitions are
    /// given up. What a lost commit costs is a redelivery.
    pub fn handled<M: Message>(&self, batch: &[M]) {
        let stored =
            offsets_behind(batch).and_then(|offsets| self.consumer.store_offsets(&offsets));
        if let Err(error) = stored {
            tracing::warn!(%error, "offsets will not be committed; the batch may come again");
        }
    }

    /// Commits what is handled and leaves the group.
    pub async fn close(self) {
        // It waits for the broker.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(self.consumer)).await {
            tracing::warn!(%error, "the consumer was not closed in order");
        }
    }
}

fn payload_len(message: &impl Message) -> usize {
    message.payload().map_or(0, <[u8]>::len)
}

fn offsets_behind<M: Message>(batch: &[M]) -> KafkaResult<TopicPartitionList> {
    let mut next = BTreeMap::new();
    for message in batch {
        next.insert((message.topic(), message.partition()), message.offset() + 1);
    }
    let mut offsets = TopicPartitionList::with_capacity(next.len());
    for ((topic, partition), offset) in next {
        offsets.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    Ok(offsets)
}

/// What librdkafka tells beside records.
#[derive(Default)]
struct Events {
    /// Partitions that were taken away, until somebody asks.
    revoked: Mutex<BTreeSet<(String, i32)>>,
    lag: OnceLock<OwnLag>,
}

impl Events {
    fn take_revoked(&self) -> BTreeSet<(String, i32)> {
        std::mem::take(&mut *self.revoked.lock())
    }
}

fn is_of(partitions: &BTreeSet<(String, i32)>, message: &impl Message) -> bool {
    let mut partitions = partitions.iter();
    partitions
        .any(|(topic, partition)| *partition == message.partition() && topic == message.topic())
}

impl ClientContext for Events {
    fn stats(&self, statistics: Statistics) {
        if let Some(lag) = self.lag.get() {
            lag.update(&statistics);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "consumer");
    }
}

impl ConsumerContext for Events {
    /// Called from within `recv`, between two records.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(partitions = partitions.count(), "partitions assigned");
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(partitions = partitions.count(), "partitions revoked");
                let elements = partitions.elements();
                let revoked = elements
                    .iter()
                    .map(|e| (e.topic().to_owned(), e.partition()));
                self.revoked.lock().extend(revoked);
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "offsets not committed; the batch may come again");
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{FutureProducer, FutureRecord};

    use super::*;
    use crate::kafka::KafkaSettings;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn at(partition: i32, offset: i64) -> OwnedMessage {
        OwnedMessage::new(
            None,
            None,
            "t".into(),
            Timestamp::NotAvailable,
            partition,
            offset,
            None,
        )
    }

    #[test]
    fn the_offset_behind_the_last_record_of_each_partition_is_committed() {
        let offsets = offsets_behind(&[at(0, 5), at(1, 0), at(0, 7)]).unwrap();
        let found: Vec<_> = offsets
            .elements()
            .iter()
            .map(|e| (e.partition(), e.offset()))
            .collect();
        assert_eq!(found, [(0, Offset::Offset(8)), (1, Offset::Offset(1))]);
    }

    #[test]
    fn a_record_is_recognised_as_one_of_a_partition_that_was_taken_away() {
        let revoked = BTreeSet::from([("t".to_owned(), 1)]);
        assert!(is_of(&revoked, &at(1, 5)));
        assert!(!is_of(&revoked, &at(0, 5)));
        assert!(!is_of(&BTreeSet::new(), &at(1, 5)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_handled_is_committed_soon_and_nothing_else_is() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let kafka = KafkaSettings {
            bootstrap_servers: cluster.bootstrap_servers(),
            ..KafkaSettings::default()
        };
        let producer: FutureProducer = kafka.client("test").create().unwrap();
        for payload in ["first", "second"] {
            let record = FutureRecord::<(), _>::to("t").payload(payload);
            producer.send(record, PATIENCE).await.unwrap();
        }
        let mut config = kafka.consumer("test");
        config.set("group.id", "g");
        let bystander: BaseConsumer = config.create().unwrap();
        let committed = || {
            let mut partition = TopicPartitionList::new();
            partition.add_partition("t", 0);
            let offsets = bystander.committed_offsets(partition, PATIENCE).unwrap();
            offsets.elements()[0].offset()
        };
        // As somebody's `consumer.override` may have it.
        config.set("enable.auto.offset.store", "true");
        let consumer = BatchConsumer::subscribe(&config, &["t"], BatchLimits::records(1)).unwrap();
        let first = consumer.next_batch().await.unwrap();
        let second = consumer.next_batch().await.unwrap();
        assert_eq!(second[0].offset(), 1);
        consumer.handled(&first);
        let is_committed = async {
            while committed() == Offset::Invalid {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, is_committed).await.unwrap();
        assert_eq!(committed(), Offset::Offset(1));
        drop((first, second));
        consumer.close().await;
        assert_eq!(committed(), Offset::Offset(1));
    }
}
