//! Connector configurations: the keys of each connector class, read into one [`SinkConfig`].

mod class;
mod common;
mod confluent;
mod debezium;
mod reader;
mod sink;
mod suggest;
mod transforms;

use std::collections::BTreeMap;
use std::time::Duration;

use shared::connect_json::Rules;
use shared::settings::Secret;

pub use class::{Class, Kind};
pub use common::ErrorLog;
pub use reader::ConfigErrors;

use crate::env::Properties;
use crate::transforms::TransformRule;

/// What a sink is to do, whichever connector's keys said so.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    pub tasks_max: usize,
    pub topics: Vec<String>,
    /// The database driver's URL, credentials included.
    pub database: Secret,
    pub tables: TableRules,
    pub retries: Retries,
    pub key_converter: Converter,
    pub value_converter: Converter,
    pub transforms: Vec<TransformRule>,
    pub errors: ErrorRules,
    /// `consumer.override.*`, without the prefix.
    pub consumer: BTreeMap<String, String>,
}

/// How records become rows.
#[derive(Debug, Clone)]
pub struct TableRules {
    pub insert_mode: InsertMode,
    pub key: KeyMode,
    /// Key columns by name; their meaning depends on `key`.
    pub key_fields: Vec<String>,
    pub name: TableFormat,
    /// Create a missing table.
    pub create: bool,
    /// Add missing columns.
    pub evolve: bool,
    /// A tombstone deletes its row; needs [`KeyMode::RecordKey`].
    pub delete: bool,
    pub on_tombstone: OnTombstone,
    /// Rows per statement, at most.
    pub batch_size: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertMode {
    Insert,
    Upsert,
}

/// Where a row's key columns come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMode {
    None,
    /// The record's topic, partition and offset.
    Kafka,
    RecordKey,
    RecordValue,
}

/// A tombstone while deletes are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTombstone {
    /// Debezium.
    Skip,
    /// Confluent: a bad record.
    Refuse,
}

/// How a topic's name becomes a table's: `${topic}` and text around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFormat {
    pub format: String,
    /// Debezium writes `_` for a topic's `.`; Confluent reads it as schema.table.
    pub dots: Dots,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dots {
    Replace,
    Qualify,
}

/// For broken infrastructure; bad data is never retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    pub max: u32,
    pub delay: Duration,
}

#[derive(Debug, Clone, Copy)]
pub enum Converter {
    String,
    Json {
        schemas: bool,
        rules: Rules,
        /// `decimal.format=NUMERIC`: how a source writes decimals. A sink reads both.
        numeric_decimals: bool,
    },
}

impl Converter {
    /// The Java class, for the headers of dead letters.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::String => common::STRING_CONVERTER,
            Self::Json { .. } => common::JSON_CONVERTER,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRules {
    /// `errors.tolerance=all`.
    pub tolerate: bool,
    pub dead_letters: Option<DeadLetterRules>,
    pub log: ErrorLog,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterRules {
    pub topic: String,
    /// For creating the topic.
    pub replication: i32,
    /// Say in headers why and whence.
    pub headers: bool,
}

impl SinkConfig {
    /// Reads a configuration whose placeholders are filled in; all its faults at once.
    pub fn parse(properties: &Properties) -> Result<Self, ConfigErrors> {
        match Class::of(properties)? {
            Class::DebeziumSink => debezium::parse(properties),
            Class::ConfluentSink => confluent::parse(properties),
        }
    }
}

/// The properties as an answer may show them: a password in plain text is masked.
pub fn masked(properties: &Properties) -> Properties {
    let mask = |(key, value): (&String, &String)| {
        let secret = key.contains("password") && !crate::env::has_placeholder(value);
        let shown = if secret { MASK } else { value };
        (key.clone(), shown.to_owned())
    };
    properties.iter().map(mask).collect()
}

/// Puts back the passwords of a configuration that was read masked and edited.
pub fn unmasked(edited: &mut Properties, original: &Properties) {
    for (key, value) in edited.iter_mut().filter(|(_, value)| *value == MASK) {
        if let Some(secret) = original.get(key) {
            value.clone_from(secret);
        }
    }
}

const MASK: &str = "********";

#[cfg(test)]
mod tests;
