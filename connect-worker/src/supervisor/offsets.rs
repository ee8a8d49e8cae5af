//! How far a connector is, shown and changed in Connect's words.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::not_found;
use super::{Supervisor, SupervisorError};
use crate::config::{Class, Kind};
use crate::sink::{Group, TopicPartition};
use crate::source;
use crate::store::{Entry, Target};

/// `{"partition": {…}, "offset": {…}}`. What is in them differs between sinks and sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorOffset {
    #[serde(default)]
    pub partition: Option<Map<String, Value>>,
    /// `None`: none, and so from the beginning.
    #[serde(default)]
    pub offset: Option<Map<String, Value>>,
}

/// What was done to the offsets.
#[derive(Clone, Copy)]
enum Change {
    Altered,
    Reset,
}

impl Supervisor {
    pub async fn offsets(&self, name: &str) -> Result<Vec<ConnectorOffset>, SupervisorError> {
        let entry = self.entry(name)?;
        let offset = |(partition, offset): (Value, Value)| ConnectorOffset {
            partition: partition.as_object().cloned(),
            offset: offset.as_object().cloned(),
        };
        match self.group(name, &entry)? {
            Some(group) => {
                let offsets = group.offsets().await.map_err(|error| {
                    let what = format!(
                        "Failed to retrieve consumer group offsets for sink connector {name}"
                    );
                    SupervisorError::Broker(what, error)
                })?;
                let words = offsets.into_iter().map(sink_words);
                Ok(words.map(offset).collect())
            }
            None => {
                let offsets = self.environment.offsets.of(name).await?;
                let words = offsets
                    .into_iter()
                    .map(|(partition, offset)| (partition.to_json(), offset.to_json()));
                Ok(words.map(offset).collect())
            }
        }
    }

    /// Sets some offsets of a stopped connector; what was done.
    pub async fn alter_offsets(
        &self,
        name: &str,
        offsets: Vec<ConnectorOffset>,
    ) -> Result<String, SupervisorError> {
        let _change = self.change.lock().await;
        let entry = self.stopped(name)?;
        match self.group(name, &entry)? {
            Some(group) => {
                let wanted: Result<_, _> = offsets.into_iter().map(sink_offset).collect();
                let altered = group.alter(wanted?).await;
                altered.map_err(|error| {
                    let what =
                        format!("Failed to alter consumer group offsets for connector {name}");
                    SupervisorError::Broker(what, error)
                })?;
            }
            None => {
                let wanted: Result<BTreeMap<_, _>, _> =
                    offsets.into_iter().map(source_offset).collect();
                for (partition, offset) in wanted? {
                    self.environment
                        .offsets
                        .put(name, &partition, offset)
                        .await?;
                }
            }
        }
        Ok(Change::Altered.told())
    }

    /// Forgets the offsets of a stopped connector; what was done.
    pub async fn reset_offsets(&self, name: &str) -> Result<String, SupervisorError> {
        let _change = self.change.lock().await;
        let entry = self.stopped(name)?;
        match self.group(name, &entry)? {
            Some(group) => group.reset().await.map_err(|error| {
                let what = format!("Failed to reset consumer group offsets for connector {name}");
                SupervisorError::Broker(what, error)
            })?,
            None => self.environment.offsets.reset(name).await?,
        }
        Ok(Change::Reset.told())
    }

    /// A connector whose tasks have ended.
    fn stopped(&self, name: &str) -> Result<Entry, SupervisorError> {
        let entry = self.store.get(name)?.ok_or_else(|| not_found(name))?;
        if entry.target != Target::Stopped {
            return Err(SupervisorError::BadRequest(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. \
                 This can be done for the specified connector by issuing a 'PUT' request to the \
                 '/connectors/{name}/stop' endpoint"
            )));
        }
        // Whether they have ended, only the worker that ran them knows.
        if !*self.leads.borrow() {
            return Err(SupervisorError::Standby(name.to_owned()));
        }
        Ok(entry)
    }

    /// A sink's group; `None` for a source.
    fn group(&self, name: &str, entry: &Entry) -> Result<Option<Group>, SupervisorError> {
        let class = Class::of(&entry.properties).map_err(super::invalid)?;
        let properties = self.environment.resolve(&entry.properties).properties;
        let group = || Group::of(&self.environment.kafka, name, &properties);
        Ok((class.kind() == Kind::Sink).then(group))
    }
}

impl Change {
    fn told(self) -> String {
        let done = match self {
            Self::Altered => "altered",
            Self::Reset => "reset",
        };
        format!(
            "The Connect framework-managed offsets for this connector have been {done} \
             successfully. However, if this connector manages offsets externally, they will need \
             to be manually {done} in the system that the connector uses."
        )
    }
}

fn sink_words(((topic, partition), offset): (TopicPartition, i64)) -> (Value, Value) {
    (
        json!({"kafka_topic": topic, "kafka_partition": partition}),
        json!({"kafka_offset": offset}),
    )
}

fn sink_offset(given: ConnectorOffset) -> Result<(TopicPartition, Option<i64>), SupervisorError> {
    let partition = sink_partition(given.partition)?;
    let Some(offset) = given.offset else {
        return Ok((partition, None));
    };
    let offset = offset.get("kafka_offset").ok_or_else(|| {
        refused("The offset for a sink connector should either be null or contain the key 'kafka_offset'")
    })?;
    Ok((partition, Some(integer(["offset", "Offset"], offset)?)))
}

fn sink_partition(given: Option<Map<String, Value>>) -> Result<TopicPartition, SupervisorError> {
    let given = given.ok_or_else(|| {
        refused("The partition for a sink connector offset cannot be null or missing")
    })?;
    match (given.get("kafka_topic"), given.get("kafka_partition")) {
        (None, _) | (_, None) => Err(refused(
            "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'",
        )),
        (Some(Value::Null), _) => Err(refused(
            "Kafka topic names must be valid strings and may not be null",
        )),
        (_, Some(Value::Null)) => Err(refused(
            "Kafka partitions must be valid numbers and may not be null",
        )),
        (Some(topic), Some(partition)) => Ok((
            plain(topic),
            integer(["partition", "Partition"], partition)?,
        )),
    }
}

/// It may be written as text, as in Connect.
fn integer<T: FromStr>([word, begins]: [&str; 2], value: &Value) -> Result<T, SupervisorError> {
    let value = plain(value);
    value.parse().map_err(|_| {
        refused(&format!(
            "Failed to parse the following Kafka {word} value in the provided offsets: '{value}'. \
             {begins} values for sink connectors need to be integers."
        ))
    })
}

fn refused(message: &str) -> SupervisorError {
    SupervisorError::BadRequest(message.to_owned())
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// In the words of Confluent's source.
fn source_offset(
    given: ConnectorOffset,
) -> Result<(source::Partition, Option<source::Offset>), SupervisorError> {
    let partition = Value::from(given.partition.unwrap_or_default());
    let Some(of) = source::Partition::from_json(&partition) else {
        return Err(refused(&format!(
            "The partition {partition} is none of a JDBC source: it is \
             {{\"protocol\":\"1\",\"table\":\"database.table\"}} or {{\"query\":\"query\"}}, \
             as GET shows them"
        )));
    };
    let Some(offset) = given.offset.map(Value::from) else {
        return Ok((of, None));
    };
    match source::Offset::from_json(&offset) {
        Some(offset) => Ok((of, Some(offset))),
        None => Err(refused(&format!(
            "The offset {offset} is none of a JDBC source: it has the numbers \"incrementing\", \
             \"timestamp\" (milliseconds) and \"timestamp_nanos\""
        ))),
    }
}
