//! The connectors as their authors want them: configuration and target state.
//!
//! They live in a compacted topic, so that they outlive the process and any worker can
//! read them; or in memory, for who registers connectors again after a restart. As in
//! Connect, whoever may read the topic reads the passwords that were written into a
//! configuration; a `${env:…}` placeholder keeps them out of it.

mod compacted;
mod leader;

use std::collections::BTreeMap;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use shared::kafka::TopicError;
use tokio::sync::{OnceCell, watch};

pub use compacted::CompactedTopic;
pub use leader::follow_leadership;

use crate::env::Properties;

const KEY_PREFIX: &str = "connector-";

/// What a connector is meant to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Target {
    #[default]
    Running,
    /// Has its tasks, which do nothing.
    Paused,
    /// Has no tasks.
    Stopped,
}

/// A connector as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub properties: Properties,
    pub target: Target,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "This worker is still starting up and has not been able to read to the end of the config topic"
    )]
    Starting,
    #[error("the worker's topic does not answer: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("the offsets file cannot be written: {0}")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Topic(#[from] TopicError),
}

impl StoreError {
    /// Whether waiting may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Starting | Self::Kafka(_) | Self::File(_) => true,
            Self::Topic(error) => error.is_transient(),
        }
    }
}

#[derive(Debug)]
pub enum ConnectorStore {
    Memory(RwLock<BTreeMap<String, Entry>>),
    /// Empty until the topic has been read to its end.
    Topic(OnceCell<CompactedTopic>),
}

impl ConnectorStore {
    pub fn in_memory() -> Self {
        Self::Memory(RwLock::default())
    }

    pub fn in_topic() -> Self {
        Self::Topic(OnceCell::new())
    }

    pub fn all(&self) -> Result<BTreeMap<String, Entry>, StoreError> {
        match self {
            Self::Memory(entries) => Ok(entries.read().clone()),
            Self::Topic(topic) => {
                let rows = topic.get().ok_or(StoreError::Starting)?.rows();
                Ok(rows
                    .iter()
                    .filter_map(|(key, value)| Some((named(key)?, decode(key, value)?)))
                    .collect())
            }
        }
    }

    pub fn get(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        match self {
            Self::Memory(entries) => Ok(entries.read().get(name).cloned()),
            Self::Topic(topic) => {
                let key = key(name);
                let value = topic.get().ok_or(StoreError::Starting)?.get(&key);
                Ok(value.and_then(|value| decode(&key, &value)))
            }
        }
    }

    /// Returns once the broker has it and `get` tells it.
    pub async fn put(&self, name: &str, entry: &Entry) -> Result<(), StoreError> {
        match self {
            Self::Memory(entries) => {
                entries.write().insert(name.to_owned(), entry.clone());
                Ok(())
            }
            Self::Topic(topic) => {
                let value = serde_json::json!(entry).to_string();
                let topic = topic.get().ok_or(StoreError::Starting)?;
                Ok(topic.put(&key(name), Some(value.as_bytes())).await?)
            }
        }
    }

    pub async fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self {
            Self::Memory(entries) => {
                entries.write().remove(name);
                Ok(())
            }
            Self::Topic(topic) => {
                let topic = topic.get().ok_or(StoreError::Starting)?;
                Ok(topic.put(&key(name), None).await?)
            }
        }
    }

    /// Changes of others; none in memory.
    pub fn changes(&self) -> Option<watch::Receiver<i64>> {
        match self {
            Self::Memory(_) => None,
            Self::Topic(topic) => topic.get().map(CompactedTopic::changes),
        }
    }
}

fn key(name: &str) -> String {
    format!("{KEY_PREFIX}{name}")
}

fn named(key: &str) -> Option<String> {
    key.strip_prefix(KEY_PREFIX).map(str::to_owned)
}

fn decode(key: &str, value: &[u8]) -> Option<Entry> {
    serde_json::from_slice(value)
        .inspect_err(|error| tracing::error!(key, %error, "not a connector: ignored"))
        .ok()
}
