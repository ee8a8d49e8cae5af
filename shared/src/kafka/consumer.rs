use std::collections::BTreeMap;

use futures_util::FutureExt;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};

/// A group consumer that hands out batches and commits what its caller has handled.
///
/// A batch that its caller cannot handle yet is simply not committed: after a crash or
/// a rebalance it is delivered again, here or elsewhere.
pub struct BatchConsumer {
    consumer: StreamConsumer<LoggingContext>,
}

impl BatchConsumer {
    /// `config` as made by [`super::KafkaSettings::consumer`].
    pub fn subscribe(
        mut config: ClientConfig,
        group: &str,
        topics: &[&str],
    ) -> KafkaResult<Self> {
        let consumer: StreamConsumer<LoggingContext> = config
            .set("group.id", group)
            .create_with_context(LoggingContext)?;
        consumer.subscribe(topics)?;
        Ok(Self { consumer })
    }

    /// Waits for a record, then takes those that are already here, `max` at most.
    ///
    /// Cancel-safe: a batch is lost only with the future that returned it.
    pub async fn next_batch(&self, max: usize) -> KafkaResult<Vec<OwnedMessage>> {
        let mut batch = vec![self.consumer.recv().await?.detach()];
        while batch.len() < max {
            match self.consumer.recv().now_or_never() {
                Some(Ok(message)) => batch.push(message.detach()),
                // An error here is reported again by the next call, if it lasts.
                Some(Err(_)) | None => break,
            }
        }
        Ok(batch)
    }

    /// Commits the offsets behind a handled batch, without waiting for the broker: the
    /// worst that a lost commit costs is a redelivery.
    pub fn commit(&self, batch: &[OwnedMessage]) {
        self.commit_offsets(batch, CommitMode::Async);
    }

    /// Commits the offsets behind a handled batch and waits for the broker, for the
    /// last batch before a stop.
    pub fn commit_and_wait(&self, batch: &[OwnedMessage]) {
        self.commit_offsets(batch, CommitMode::Sync);
    }

    fn commit_offsets(&self, batch: &[OwnedMessage], mode: CommitMode) {
        let Ok(offsets) = offsets_behind(batch) else { return };
        if offsets.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.commit(&offsets, mode) {
            tracing::warn!(%error, "offsets not committed; the batch may come again");
        }
    }
}

fn offsets_behind(batch: &[OwnedMessage]) -> KafkaResult<TopicPartitionList> {
    let mut next = BTreeMap::new();
    for message in batch {
        let behind = next.entry((message.topic(), message.partition())).or_insert(0);
        *behind = (message.offset() + 1).max(*behind);
    }
    let mut offsets = TopicPartitionList::with_capacity(next.len());
    for ((topic, partition), behind) in next {
        offsets.add_partition_offset(topic, partition, Offset::Offset(behind))?;
    }
    Ok(offsets)
}

struct LoggingContext;

impl ClientContext for LoggingContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "consumer");
    }
}

impl ConsumerContext for LoggingContext {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(partitions = partitions.count(), "partitions assigned");
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(partitions = partitions.count(), "partitions revoked");
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

    use super::*;

    #[test]
    fn the_offset_behind_the_last_record_of_each_partition_is_committed() {
        let at = |partition, offset| {
            OwnedMessage::new(None, None, "t".into(), Timestamp::NotAvailable, partition, offset, None)
        };
        let offsets = offsets_behind(&[at(0, 5), at(1, 0), at(0, 7), at(0, 6)]).unwrap();
        let found: Vec<_> =
            offsets.elements().iter().map(|e| (e.partition(), e.offset())).collect();
        assert_eq!(found, [(0, Offset::Offset(8)), (1, Offset::Offset(1))]);
    }
}
