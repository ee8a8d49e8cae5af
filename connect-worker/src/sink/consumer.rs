use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use shared::kafka::KafkaSettings;

use super::task::TaskId;
use crate::config::SinkConfig;

/// Records per batch, and so per transaction.
const BATCH_RECORDS: usize = 1_000;
/// A batch of large records ends early.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Where neither the worker's settings nor the connector say otherwise.
///
/// The queue is enough to keep the database busy. librdkafka's own would hold 64 MB, and
/// more than that of compressed records: the schema in each shrinks to a tenth.
const DEFAULTS: [(&str, &str); 7] = [
    ("queued.min.messages", "4000"),
    ("queued.max.messages.kbytes", "2048"),
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.max.bytes", "1048576"),
    ("max.partition.fetch.bytes", "32768"),
    // How long the partitions of a killed worker wait.
    ("session.timeout.ms", "10000"),
    // How long a new topic waits.
    ("topic.metadata.refresh.interval.ms", "30000"),
];

/// The task's member of the connector's consumer group.
pub(super) struct SinkConsumer {
    consumer: StreamConsumer<Revocations>,
    batch_records: usize,
}

impl SinkConsumer {
    pub(super) fn subscribe(
        kafka: &KafkaSettings,
        task: &TaskId,
        config: &SinkConfig,
    ) -> KafkaResult<Self> {
        let mut client = kafka.client(&format!("connector-consumer-{task}"));
        for (key, value) in DEFAULTS {
            if client.get(key).is_none() {
                client.set(key, value);
            }
        }
        client
            .set("group.id", format!("connect-{}", task.connector))
            .set("isolation.level", "read_uncommitted")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        let mut batch_records = BATCH_RECORDS;
        for (key, value) in &config.consumer {
            match key.as_str() {
                "max.poll.records" => batch_records = value.parse().unwrap_or(batch_records),
                key => {
                    client.set(java_property(key), value);
                }
            }
        }
        let consumer: StreamConsumer<Revocations> =
            client.create_with_context(Revocations::default())?;
        let topics: Vec<_> = config.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(Self {
            consumer,
            batch_records: batch_records.max(1),
        })
    }

    /// Waits for a record, then takes those that are already here.
    ///
    /// Records of a partition that is taken away meanwhile are dropped from the batch: its
    /// new owner gets them, and may have written newer ones by the time we would write.
    ///
    /// Cancel-safe.
    pub(super) async fn next_batch(&self) -> KafkaResult<Vec<BorrowedMessage<'_>>> {
        let first = self.consumer.recv().await?;
        self.consumer.context().take();
        let mut bytes = payload_len(&first);
        let mut batch = vec![first];
        let mut stream = self.consumer.stream();
        while batch.len() < self.batch_records && bytes < BATCH_BYTES {
            let next = stream.next().now_or_never().flatten();
            // What was taken away before this record came does not concern it.
            let revoked = self.consumer.context().take();
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

    /// Commits the offsets behind a batch, without waiting for the broker: what a lost
    /// commit costs is a redelivery.
    pub(super) fn commit(&self, batch: &[BorrowedMessage<'_>]) {
        let committed = offsets_behind(batch)
            .and_then(|offsets| self.consumer.store_offsets(&offsets))
            .and_then(|()| self.consumer.commit_consumer_state(CommitMode::Async));
        if let Err(error) = committed {
            tracing::warn!(%error, "offsets not committed; the batch may come again");
        }
    }

    /// Commits for good and leaves the group.
    pub(super) async fn close(self) {
        let leave = move || {
            let committed = self.consumer.commit_consumer_state(CommitMode::Sync);
            let nothing_new = KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset);
            if let Err(error) = committed.or_else(|error| match error == nothing_new {
                true => Ok(()),
                false => Err(error),
            }) {
                tracing::debug!(%error, "the last offsets are not committed");
            }
            drop(self.consumer);
        };
        // Both wait for the broker.
        if let Err(error) = tokio::task::spawn_blocking(leave).await {
            tracing::warn!(%error, "the consumer was not closed in order");
        }
    }
}

fn payload_len(message: &impl Message) -> usize {
    message.payload().map_or(0, <[u8]>::len)
}

/// Java's consumer and librdkafka name most properties alike.
fn java_property(key: &str) -> &str {
    match key {
        "fetch.max.wait.ms" => "fetch.wait.max.ms",
        same => same,
    }
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

/// Partitions that were taken away, until somebody asks.
#[derive(Default)]
struct Revocations(Mutex<BTreeSet<(String, i32)>>);

impl Revocations {
    fn take(&self) -> BTreeSet<(String, i32)> {
        std::mem::take(&mut *self.0.lock())
    }
}

fn is_of(partitions: &BTreeSet<(String, i32)>, message: &impl Message) -> bool {
    let mut partitions = partitions.iter();
    partitions
        .any(|(topic, partition)| *partition == message.partition() && topic == message.topic())
}

impl ClientContext for Revocations {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "consumer");
    }
}

impl ConsumerContext for Revocations {
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
                self.0.lock().extend(revoked);
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

    use super::*;

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
}
