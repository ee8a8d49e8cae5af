use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use shared::kafka::{KafkaSettings, OutRecord};

use crate::eventually::{eventually, within};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The broker, as a stranger uses it: any record to any topic, and all records of one.
#[derive(Debug, Clone)]
pub struct Kafka(KafkaSettings);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    pub headers: BTreeMap<String, String>,
}

impl Kafka {
    pub fn at(bootstrap_servers: &str) -> Self {
        Self::new(KafkaSettings {
            bootstrap_servers: bootstrap_servers.to_owned(),
            ..KafkaSettings::default()
        })
    }

    pub(crate) fn new(settings: KafkaSettings) -> Self {
        Self(settings)
    }

    pub fn bootstrap_servers(&self) -> &str {
        &self.0.bootstrap_servers
    }

    /// Fails if the broker does not answer.
    pub fn ping(&self) -> anyhow::Result<()> {
        let metadata = self.admin()?.inner().fetch_metadata(None, TIMEOUT);
        metadata
            .map(drop)
            .with_context(|| format!("{} does not answer", self.bootstrap_servers()))
    }

    /// The committed records of a topic, from its beginning to its end as of now; of one
    /// partition in their order.
    pub async fn read_all(&self, topic: &str) -> anyhow::Result<Vec<Record>> {
        let mut records = Vec::new();
        let each = |record| {
            records.push(record);
            Ok(())
        };
        self.scan(topic, each).await?;
        Ok(records)
    }

    /// As [`Self::read_all`], one by one.
    pub(crate) async fn scan(
        &self,
        topic: &str,
        mut each: impl FnMut(Record) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut config = self.0.consumer("e2e");
        config
            .set("group.id", "e2e")
            .set("enable.partition.eof", "true")
            // The end is told only after an empty fetch.
            .set("fetch.wait.max.ms", "50");
        let consumer: StreamConsumer = config.create()?;
        let partitions = self.partitions(topic)?;
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let mut unfinished: BTreeSet<_> = partitions.into_iter().collect();
        while !unfinished.is_empty() {
            let next = tokio::time::timeout(TIMEOUT, consumer.recv()).await;
            match next.with_context(|| format!("{topic} has no end"))? {
                Ok(message) => each(Record::from(&message))?,
                Err(KafkaError::PartitionEOF(partition)) => {
                    unfinished.remove(&partition);
                }
                Err(error) => bail!("{topic}: {error}"),
            }
        }
        Ok(())
    }

    /// How many offsets a topic's partitions span: its records, and the marks of transactions.
    pub(crate) fn count(&self, topic: &str) -> anyhow::Result<u64> {
        let admin = self.admin()?;
        let mut count = 0;
        for partition in self.partitions(topic)? {
            let (low, high) = admin.inner().fetch_watermarks(topic, partition, TIMEOUT)?;
            count += (high - low).unsigned_abs();
        }
        Ok(count)
    }

    pub(crate) fn has_topic(&self, topic: &str) -> anyhow::Result<bool> {
        let metadata = self.admin()?.inner().fetch_metadata(None, TIMEOUT)?;
        Ok(metadata.topics().iter().any(|found| found.name() == topic))
    }

    /// Waits until a topic has a record like this, and returns it.
    pub async fn find(
        &self,
        topic: &str,
        mut like: impl FnMut(&Record) -> bool,
    ) -> anyhow::Result<Record> {
        let what = format!("the record is on {topic}");
        eventually(&what, async || {
            Ok(self.read_all(topic).await?.into_iter().find(&mut like))
        })
        .await
    }

    /// Returns where the record is, once the broker has it. Without a partition the key
    /// decides, as it does for the services.
    pub async fn produce(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: &str,
        value: Option<&[u8]>,
    ) -> anyhow::Result<(i32, i64)> {
        let producer: FutureProducer = self.0.client("e2e").create()?;
        let mut record = FutureRecord::to(topic).key(key);
        record.partition = partition;
        record.payload = value;
        let delivery = producer
            .send(record, TIMEOUT)
            .await
            .map_err(|(error, _)| error)?;
        Ok((delivery.partition, delivery.offset))
    }

    /// A record with all that it may have; returns once the broker has it.
    pub async fn produce_record(&self, record: &OutRecord) -> anyhow::Result<()> {
        let producer: FutureProducer = self.0.client("e2e").create()?;
        let delivery = producer.send(FutureRecord::from(record), TIMEOUT).await;
        delivery.map_err(|(error, _)| error)?;
        Ok(())
    }

    /// Many records with keys of no meaning; returns once the broker has all of them.
    pub async fn produce_all(
        &self,
        topic: &str,
        values: impl IntoIterator<Item = Vec<u8>>,
    ) -> anyhow::Result<()> {
        let numbered = values.into_iter().enumerate();
        let records: Vec<_> = numbered
            .map(|(number, value)| (number.to_string(), value))
            .collect();
        let borrowed = records.iter().map(|(key, value)| (&**key, Some(&**value)));
        self.produce_keyed(topic, borrowed).await
    }

    /// Many records by key and value; returns once the broker has all of them.
    pub async fn produce_keyed<'r>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (&'r str, Option<&'r [u8]>)>,
    ) -> anyhow::Result<()> {
        let producer: FutureProducer = self.0.client("e2e").create()?;
        let sent = records.into_iter().map(async |(key, value)| {
            let mut record = FutureRecord::to(topic).key(key);
            record.payload = value;
            producer
                .send(record, TIMEOUT)
                .await
                .map_err(|(error, _)| error)
        });
        futures_util::future::try_join_all(sent).await?;
        Ok(())
    }

    pub fn partitions(&self, topic: &str) -> anyhow::Result<Vec<i32>> {
        let metadata = self.admin()?.inner().fetch_metadata(Some(topic), TIMEOUT)?;
        let found = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions());
        let partitions: Vec<_> = found.map(|partition| partition.id()).collect();
        ensure!(!partitions.is_empty(), "there is no topic {topic}");
        Ok(partitions)
    }

    pub async fn create_topic(&self, name: &str, partitions: i32) -> anyhow::Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for created in self
            .admin()?
            .create_topics(&[topic], &AdminOptions::new())
            .await?
        {
            created.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        // The broker may be told of its new leadership a moment later than everybody else.
        eventually("the topic's leaders answer", async || {
            self.count(name).map(|_| Some(()))
        })
        .await
    }

    /// Deletes what is there, and waits until the broker has forgotten it.
    pub async fn delete_topics(&self, topics: &[&str]) -> anyhow::Result<()> {
        let admin = self.admin()?;
        for deleted in admin.delete_topics(topics, &AdminOptions::new()).await? {
            match deleted {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => bail!("topic {topic} cannot be deleted: {code}"),
            }
        }
        eventually("the topics are gone", async || {
            let metadata = admin.inner().fetch_metadata(None, TIMEOUT)?;
            let left = metadata
                .topics()
                .iter()
                .find(|topic| topics.contains(&topic.name()));
            Ok(left.is_none().then_some(()))
        })
        .await
    }

    /// Deletes what is there. A group whose members died lives on for their session's length.
    pub async fn delete_groups(&self, groups: &[&str]) -> anyhow::Result<()> {
        let admin = self.admin()?;
        for group in groups {
            let what = format!("no process of an earlier run is in group {group}");
            within(Duration::from_secs(60), &what, async || {
                let results = admin.delete_groups(&[group], &AdminOptions::new()).await?;
                match results.into_iter().next() {
                    None | Some(Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound))) => {
                        Ok(Some(()))
                    }
                    Some(Err((_, code))) => bail!("{code}"),
                }
            })
            .await?;
        }
        Ok(())
    }

    fn admin(&self) -> anyhow::Result<AdminClient<DefaultClientContext>> {
        Ok(self.0.client("e2e").create()?)
    }
}

impl Record {
    /// The value as text; empty where there is none.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

impl From<&BorrowedMessage<'_>> for Record {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let text =
            |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            timestamp: message.timestamp().to_millis(),
            headers: headers
                .map(|header| (header.key.to_owned(), text(header.value)))
                .collect(),
        }
    }
}
