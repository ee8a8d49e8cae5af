//! How far each table is, in a compacted topic, as Connect's own offsets are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Timelike};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::OwnedHeaders;
use rdkafka::{Offset as Position, TopicPartitionList};
use serde_json::{Value as Json, json};
use shared::kafka::{
    FactProducer, KafkaSettings, OutRecord, TopicError, TopicSettings, ensure_compacted_topic,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A table of a connector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    pub connector: String,
    /// With its database or schema.
    pub table: String,
}

/// Everything up to here has been produced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offset {
    pub incrementing: Option<i64>,
    /// In UTC.
    pub timestamp: Option<NaiveDateTime>,
}

impl Partition {
    /// The key of its record, in the words of Confluent's source.
    fn to_json(&self) -> Json {
        json!([self.connector, {"protocol": "1", "table": self.table}])
    }

    fn from_json(json: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(json).ok()?;
        Some(Self {
            connector: json.get(0)?.as_str()?.to_owned(),
            table: json.get(1)?.get("table")?.as_str()?.to_owned(),
        })
    }
}

impl Offset {
    fn to_json(self) -> Json {
        let mut members = serde_json::Map::new();
        if let Some(id) = self.incrementing {
            members.insert("incrementing".to_owned(), id.into());
        }
        if let Some(time) = self.timestamp {
            let millis = time.and_utc().timestamp_millis();
            members.insert("timestamp".to_owned(), millis.into());
            members.insert("timestamp_nanos".to_owned(), time.nanosecond().into());
        }
        Json::Object(members)
    }

    fn from_json(json: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(json).ok()?;
        let millis = json.get("timestamp").and_then(Json::as_i64);
        let nanos = json.get("timestamp_nanos").and_then(Json::as_u64);
        let time = millis.and_then(|millis| {
            let time = DateTime::from_timestamp_millis(millis)?.naive_utc();
            match nanos.and_then(|nanos| u32::try_from(nanos).ok()) {
                Some(nanos) => time.with_nanosecond(nanos),
                None => Some(time),
            }
        });
        Some(Self {
            incrementing: json.get("incrementing").and_then(Json::as_i64),
            timestamp: time,
        })
    }
}

/// The topic that keeps them.
#[derive(Debug, Clone)]
pub struct OffsetStore {
    kafka: KafkaSettings,
    topic: TopicSettings,
}

impl OffsetStore {
    pub fn new(kafka: KafkaSettings, topic: TopicSettings) -> Self {
        Self { kafka, topic }
    }

    /// The offsets of a connector's tables. Creates the topic if it is missing.
    pub(super) async fn load(
        &self,
        connector: &str,
    ) -> Result<BTreeMap<String, Offset>, TopicError> {
        ensure_compacted_topic(&self.kafka, &self.topic).await?;
        let store = self.clone();
        let read = tokio::task::spawn_blocking(move || store.read());
        let all = read.await.unwrap_or(Err(KafkaError::Canceled))?;
        let own = all
            .into_iter()
            .filter(|(partition, _)| partition.connector == connector);
        Ok(own
            .map(|(partition, offset)| (partition.table, offset))
            .collect())
    }

    /// The last record of each key, up to the topic's end as of now.
    fn read(&self) -> KafkaResult<BTreeMap<Partition, Offset>> {
        let topic = &self.topic.name;
        let mut client = self.kafka.consumer("connect-offsets");
        client
            .set("group.id", "connect-offsets")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = client.create()?;
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        let mut pending = BTreeSet::new();
        let mut assigned = TopicPartitionList::new();
        for partition in metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
        {
            pending.insert(partition.id());
            assigned.add_partition_offset(topic, partition.id(), Position::Beginning)?;
        }
        consumer.assign(&assigned)?;
        let mut offsets = BTreeMap::new();
        while !pending.is_empty() {
            match consumer.poll(TIMEOUT) {
                Some(Ok(message)) => {
                    let Some(partition) = message.key().and_then(Partition::from_json) else {
                        continue;
                    };
                    match message.payload().and_then(Offset::from_json) {
                        Some(offset) => offsets.insert(partition, offset),
                        None => offsets.remove(&partition),
                    };
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    pending.remove(&partition);
                }
                Some(Err(error)) => return Err(error),
                None => return Err(KafkaError::Canceled),
            }
        }
        Ok(offsets)
    }

    /// Returns once the broker has it.
    pub(super) async fn store(
        &self,
        producer: &FactProducer,
        partition: &Partition,
        offset: Offset,
    ) -> KafkaResult<()> {
        let record = OutRecord {
            topic: self.topic.name.clone(),
            partition: None,
            key: Some(partition.to_json().to_string().into_bytes()),
            payload: Some(offset.to_json().to_string().into_bytes()),
            timestamp: None,
            headers: OwnedHeaders::new(),
        };
        producer.send_all(&[record]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_offsets_are_spelt_as_confluents_source_spells_them() {
        let partition = Partition {
            connector: "my-source".to_owned(),
            table: "db.users".to_owned(),
        };
        let key = partition.to_json().to_string();
        assert_eq!(key, r#"["my-source",{"protocol":"1","table":"db.users"}]"#);
        assert_eq!(Partition::from_json(key.as_bytes()), Some(partition));
        let time = DateTime::from_timestamp_micros(1_627_815_857_123_456);
        let offset = Offset {
            incrementing: Some(7),
            timestamp: time.map(|time| time.naive_utc()),
        };
        let value = offset.to_json();
        let expected = json!({
            "incrementing": 7, "timestamp": 1_627_815_857_123_i64, "timestamp_nanos": 123_456_000,
        });
        assert_eq!(value, expected);
        assert_eq!(
            Offset::from_json(value.to_string().as_bytes()),
            Some(offset)
        );
    }
}
