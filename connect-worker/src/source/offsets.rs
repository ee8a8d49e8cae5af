//! How far each source is, in a compacted topic, as Connect's own offsets are.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Timelike};
use rdkafka::error::KafkaError;
use serde_json::{Value as Json, json};
use shared::kafka::KafkaSettings;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use super::offset_file::OffsetFile;
use crate::settings::StoreSettings;
use crate::store::{CompactedTopic, StoreError};

/// What a source reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// By its name, with its database or schema.
    Table(String),
    /// The rows of the connector's `query`.
    Query,
}

/// Everything up to here has been produced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offset {
    pub incrementing: Option<i64>,
    /// In UTC.
    pub timestamp: Option<NaiveDateTime>,
}

impl Partition {
    /// In the words of Confluent's source.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Table(table) => json!({"protocol": "1", "table": table}),
            Self::Query => json!({"query": "query"}),
        }
    }

    pub fn from_json(json: &Json) -> Option<Self> {
        match (json.get("table"), json.get("query")) {
            (Some(table), None) => Some(Self::Table(table.as_str()?.to_owned())),
            (None, Some(_)) => Some(Self::Query),
            _ => None,
        }
    }
}

impl Offset {
    /// In the words of Confluent's source.
    pub fn to_json(self) -> Json {
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

    /// `None` if a member is not the number it should be.
    pub fn from_json(json: &Json) -> Option<Self> {
        let number = |name| match json.as_object()?.get(name) {
            None | Some(Json::Null) => Some(None),
            Some(number) => number.as_i64().map(Some),
        };
        let time = match (number("timestamp")?, number("timestamp_nanos")?) {
            (None, _) => None,
            (Some(millis), nanos) => {
                let time = DateTime::from_timestamp_millis(millis)?.naive_utc();
                Some(match nanos {
                    Some(nanos) => time.with_nanosecond(u32::try_from(nanos).ok()?)?,
                    None => time,
                })
            }
        };
        Some(Self {
            incrementing: number("incrementing")?,
            timestamp: time,
        })
    }
}

/// Where they are kept.
#[derive(Debug, Clone)]
pub struct OffsetStore(Place);

#[derive(Debug, Clone)]
enum Place {
    Topic(OffsetTopic),
    File(OffsetFile),
}

/// Opened when first needed.
#[derive(Debug, Clone)]
struct OffsetTopic {
    kafka: KafkaSettings,
    settings: StoreSettings,
    /// Reads the topic for as long as the store lives; HTTP handlers have others.
    runtime: Handle,
    topic: Arc<OnceCell<CompactedTopic>>,
}

impl OffsetStore {
    /// It lives on the caller's runtime.
    pub fn new(kafka: KafkaSettings, settings: StoreSettings) -> Self {
        Self(Place::Topic(OffsetTopic {
            kafka,
            settings,
            runtime: Handle::current(),
            topic: Arc::default(),
        }))
    }

    /// For a worker that is alone. A missing file is an empty one.
    pub fn in_file(path: &Path) -> io::Result<Self> {
        OffsetFile::open(path).map(|file| Self(Place::File(file)))
    }

    /// How far a connector is.
    pub async fn of(&self, connector: &str) -> Result<BTreeMap<Partition, Offset>, StoreError> {
        let rows = match &self.0 {
            Place::Topic(topic) => topic.open().await?.rows(),
            Place::File(file) => file.rows(),
        };
        let own = rows.iter().filter_map(|(key, offset)| {
            let key: Json = serde_json::from_str(key).ok()?;
            (key.get(0)?.as_str()? == connector).then_some(())?;
            let offset = serde_json::from_slice(offset).ok()?;
            Some((
                Partition::from_json(key.get(1)?)?,
                Offset::from_json(&offset)?,
            ))
        });
        Ok(own.collect())
    }

    /// Returns once the broker has it and `of` tells it; without an offset the partition is
    /// read from its beginning again. Not for a partition that a task is reading: its next
    /// offset would win.
    pub async fn put(
        &self,
        connector: &str,
        partition: &Partition,
        offset: Option<Offset>,
    ) -> Result<(), StoreError> {
        let offset = offset.map(|offset| offset.to_json().to_string());
        let offset = offset.as_deref().map(str::as_bytes);
        let key = key(connector, partition);
        match &self.0 {
            Place::Topic(topic) => Ok(topic.open().await?.put(&key, offset).await?),
            Place::File(file) => Ok(file.put(&key, offset).await?),
        }
    }

    /// Forgets how far a connector is.
    pub async fn reset(&self, connector: &str) -> Result<(), StoreError> {
        for partition in self.of(connector).await?.into_keys() {
            self.put(connector, &partition, None).await?;
        }
        Ok(())
    }
}

impl OffsetTopic {
    async fn open(&self) -> Result<&CompactedTopic, StoreError> {
        let open = || async {
            let (kafka, settings) = (self.kafka.clone(), self.settings.clone());
            let opening = self.runtime.spawn(async move {
                let StoreSettings {
                    offsets_topic,
                    replication,
                    ..
                } = settings;
                CompactedTopic::open(&kafka, &offsets_topic, replication).await
            });
            opening.await.unwrap_or(Err(KafkaError::Canceled.into()))
        };
        self.topic.get_or_try_init(open).await
    }
}

fn key(connector: &str, partition: &Partition) -> String {
    json!([connector, partition.to_json()]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_offsets_are_spelt_as_confluents_source_spells_them() {
        let table = Partition::Table("db.users".to_owned());
        for (partition, expected) in [
            (
                table,
                r#"["my-source",{"protocol":"1","table":"db.users"}]"#,
            ),
            (Partition::Query, r#"["my-source",{"query":"query"}]"#),
        ] {
            assert_eq!(key("my-source", &partition), expected);
            assert_eq!(Partition::from_json(&partition.to_json()), Some(partition));
        }
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
        assert_eq!(Offset::from_json(&value), Some(offset));
    }

    #[test]
    fn what_is_no_offset_is_not_taken_for_one() {
        for wrong in [
            json!(7),
            json!({"incrementing": "7"}),
            json!({"timestamp": i64::MAX}),
            json!({"timestamp": 1, "timestamp_nanos": -1}),
        ] {
            assert_eq!(Offset::from_json(&wrong), None, "{wrong}");
        }
        assert_eq!(Offset::from_json(&json!({})), Some(Offset::default()));
    }
}
