//! How far a sink is: the offsets of its consumer group, read and changed from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use shared::kafka::KafkaSettings;

use crate::env::Properties;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Topic and partition.
pub(crate) type TopicPartition = (String, i32);

#[derive(Debug, Clone)]
pub(crate) struct Group {
    kafka: KafkaSettings,
    name: String,
}

impl Group {
    /// The group that the tasks of a connector are in.
    pub(crate) fn of(kafka: &KafkaSettings, connector: &str, properties: &Properties) -> Self {
        let name = properties.get("consumer.override.group.id").cloned();
        Self {
            kafka: kafka.clone(),
            name: name.unwrap_or_else(|| format!("connect-{connector}")),
        }
    }

    /// What has been committed.
    pub(crate) async fn offsets(&self) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
        let group = self.clone();
        blocking(move || group.committed()).await
    }

    /// Sets offsets; `None` removes one, so that its partition begins where
    /// `auto.offset.reset` says. The group must be empty.
    pub(crate) async fn alter(
        &self,
        changes: BTreeMap<TopicPartition, Option<i64>>,
    ) -> KafkaResult<()> {
        let mut wanted = BTreeMap::new();
        if changes.values().any(Option::is_none) {
            // librdkafka cannot remove one offset of several: all are, and the others put
            // back. Who is killed in between reads again what the sink has written already.
            wanted = self.offsets().await?;
            self.reset().await?;
        }
        for (partition, offset) in changes {
            match offset {
                Some(offset) => wanted.insert(partition, offset),
                None => wanted.remove(&partition),
            };
        }
        let group = self.clone();
        blocking(move || group.commit(&wanted)).await
    }

    /// Forgets all offsets. The group must be empty; that there is none is no error.
    pub(crate) async fn reset(&self) -> KafkaResult<()> {
        let client = self.kafka.client("connector-adminclient");
        let admin: AdminClient<DefaultClientContext> = client.create()?;
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let deleted = admin.delete_groups(&[&self.name], &options).await?;
        match deleted.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::GroupIdNotFound => {
                Err(KafkaError::AdminOp(code))
            }
            _ => Ok(()),
        }
    }

    fn consumer(&self) -> KafkaResult<BaseConsumer> {
        let mut client = self.kafka.consumer("connector-offsets");
        client.set("group.id", &self.name).create()
    }

    /// A group does not list its partitions to librdkafka: all there are, are asked for.
    fn committed(&self) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
        let consumer = self.consumer()?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
        let mut all = TopicPartitionList::new();
        for topic in metadata.topics() {
            for partition in topic.partitions() {
                all.add_partition(topic.name(), partition.id());
            }
        }
        let committed = consumer.committed_offsets(all, TIMEOUT)?;
        Ok(committed
            .elements()
            .iter()
            .filter_map(|element| match element.offset() {
                Offset::Offset(offset) => {
                    Some(((element.topic().to_owned(), element.partition()), offset))
                }
                _ => None,
            })
            .collect())
    }

    fn commit(&self, offsets: &BTreeMap<TopicPartition, i64>) -> KafkaResult<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        self.consumer()?.commit(&list, CommitMode::Sync)?;
        // librdkafka reports an error only if every partition has one.
        let committed = self.committed()?;
        let missing =
            |(partition, offset): (&TopicPartition, &i64)| committed.get(partition) != Some(offset);
        if offsets.iter().any(missing) {
            return Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::UnknownTopicOrPartition,
            ));
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(KafkaError::Canceled))
}
