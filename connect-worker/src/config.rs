//! Connector configurations: the keys of each connector class, read into one
//! [`SinkConfig`] or [`SourceConfig`].

mod class;
mod common;
mod confluent;
mod debezium;
mod definitions;
mod reader;
mod sink;
mod source;
mod suggest;
mod tables;
mod transforms;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use regex::Regex;
use shared::connect_json::Rules;
use shared::settings::Secret;

pub use class::{Class, Kind, Plugin, PluginKind};
pub use common::ErrorLog;
pub use definitions::{Definition, definitions, definitions_of};
pub use reader::{ConfigErrors, Fault};
pub use source::{Columns, Mode, NumericMapping, SourceConfig, TableSelection};
pub(crate) use tables::BATCH_RECORDS;

use self::reader::Reader;
use crate::dialect::Quoting;
use crate::env::Properties;
use crate::transforms::TransformRule;

/// What a sink is to do, whichever connector's keys said so.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    pub tasks_max: usize,
    pub topics: Topics,
    /// The database driver's URL, credentials included.
    pub database: Secret,
    pub tables: TableRules,
    pub retries: Retries,
    /// Attempts to reach the database, where they are counted apart (Confluent, Aiven).
    pub connection: Option<Retries>,
    pub key_converter: Converter,
    pub value_converter: Converter,
    pub transforms: Vec<TransformRule>,
    pub errors: ErrorRules,
    /// `consumer.override.*`, without the prefix.
    pub consumer: BTreeMap<String, String>,
}

/// What a sink consumes.
#[derive(Debug, Clone)]
pub enum Topics {
    Named(Vec<String>),
    /// Every topic that this matches from end to end, Kafka's internal ones apart.
    Matching(Regex),
}

impl Topics {
    pub fn contain(&self, topic: &str) -> bool {
        match self {
            Self::Named(names) => names.iter().any(|name| name == topic),
            Self::Matching(regex) => regex.is_match(topic),
        }
    }
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
    /// Which fields of the value become columns; key columns always do.
    pub fields: FieldFilter,
    pub quoting: Quoting,
    /// Whether an existing table, or view, may be written to.
    pub kinds: TableKinds,
    pub zones: TimeZones,
    pub timestamps: TimestampFields,
    /// A field's default takes the place of a null in a row.
    pub replace_null_with_default: bool,
    /// The column that a value of text goes into; `None`: such a value is refused.
    pub text_column: Option<String>,
    /// Numbers of the types `io.debezium.time.*` are refused: Debezium's sink knows what they
    /// mean, where Confluent's writes them as they are.
    pub refuse_debezium_times: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertMode {
    Insert,
    Upsert,
    /// Rows that are not there stay absent.
    Update,
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
    /// Aiven's `topics.to.tables.mapping`: what these topics are written to, whatever the
    /// format.
    pub mapping: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dots {
    Replace,
    Qualify,
    /// Aiven's `table.name.normalize`: `_` for all but letters, digits and `_`.
    Normalize,
}

/// The fields of a value that become columns.
#[derive(Debug, Clone)]
pub enum FieldFilter {
    All,
    Named(Vec<String>),
    /// Debezium: each matches `field` or `topic:field`.
    Include(Vec<Regex>),
    Exclude(Vec<Regex>),
}

impl FieldFilter {
    pub fn allows(&self, topic: &str, field: &str) -> bool {
        let matches = |patterns: &[Regex]| {
            let qualified = format!("{topic}:{field}");
            let mut patterns = patterns.iter();
            patterns.any(|pattern| pattern.is_match(field) || pattern.is_match(&qualified))
        };
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| name == field),
            Self::Include(patterns) => matches(patterns),
            Self::Exclude(patterns) => !matches(patterns),
        }
    }
}

/// `table.types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableKinds {
    pub tables: bool,
    pub views: bool,
}

/// The zones whose wall-clock time columns without a zone hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeZones {
    pub timestamp: Tz,
    pub date: Tz,
    pub time: Tz,
}

impl TimeZones {
    pub const UTC: Self = Self {
        timestamp: Tz::UTC,
        date: Tz::UTC,
        time: Tz::UTC,
    };
}

/// `timestamp.fields.list`: integers, or text, that are points in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimestampFields {
    pub names: Vec<String>,
    /// Integers count nanoseconds rather than microseconds.
    pub nanoseconds: bool,
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

/// What a connector is to do.
#[derive(Debug, Clone)]
pub enum ConnectorConfig {
    Sink(SinkConfig),
    Source(SourceConfig),
}

impl ConnectorConfig {
    /// Reads a configuration whose placeholders are filled in; all its faults at once.
    pub fn parse(properties: &Properties) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(properties);
        let class = Class::of(properties).or_else(|unknown| {
            // What else is misspelt is told in the same answer.
            let meant = Class::meant_by(properties).ok_or_else(|| unknown.clone())?;
            for Fault { key, message } in unknown.0 {
                reader.error(key, message);
            }
            Ok(meant)
        })?;
        match class {
            Class::DebeziumSink => debezium::parse(reader).map(Self::Sink),
            Class::ConfluentSink => {
                confluent::parse(reader, confluent::Maker::Confluent).map(Self::Sink)
            }
            Class::AivenSink => confluent::parse(reader, confluent::Maker::Aiven).map(Self::Sink),
            Class::ConfluentSource => {
                source::parse(reader, confluent::Maker::Confluent).map(Self::Source)
            }
            Class::AivenSource => source::parse(reader, confluent::Maker::Aiven).map(Self::Source),
        }
    }

    pub fn tasks_max(&self) -> usize {
        match self {
            Self::Sink(config) => config.tasks_max,
            Self::Source(config) => config.tasks_max,
        }
    }
}

impl SinkConfig {
    /// As [`ConnectorConfig::parse`], for who wants a sink.
    pub fn parse(properties: &Properties) -> Result<Self, ConfigErrors> {
        match ConnectorConfig::parse(properties)? {
            ConnectorConfig::Sink(config) => Ok(config),
            ConnectorConfig::Source(_) => Err(ConfigErrors::one(
                "connector.class",
                "this connector is a source",
            )),
        }
    }
}

/// Checks what all connectors may take over: converters and `consumer.override.*`.
pub fn check_defaults(defaults: &Properties) -> Result<(), ConfigErrors> {
    let mut reader = Reader::new(defaults);
    common::read(&mut reader);
    reader.finish(Some(()))
}

/// The properties as an answer may show them: a password in plain text is masked, but for
/// one inside a URL.
pub fn masked(properties: &Properties) -> Properties {
    let mask = |(key, value): (&String, &String)| {
        let secret = ["password", "sasl.jaas.config"]
            .iter()
            .any(|word| key.contains(word));
        let secret = secret && !crate::env::has_placeholder(value);
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
