//! The keys that every sink has.

use std::collections::BTreeMap;

use shared::settings::Secret;

use super::common::Common;
use super::reader::Reader;
use super::{DeadLetterRules, ErrorRules, InsertMode, KeyMode, Retries, SinkConfig, TableRules};
use crate::jdbc_url::driver_url;

pub(super) struct Consumed {
    pub(super) topics: Vec<String>,
    pub(super) dead_letters: Option<DeadLetterRules>,
    pub(super) overrides: BTreeMap<String, String>,
}

pub(super) fn consumed(reader: &mut Reader<'_>) -> Consumed {
    reader.refuse(&["topics.regex"]);
    let overrides = reader.with_prefix("consumer.override.");
    let overrides = overrides
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let consumed = Consumed {
        topics: topics(reader),
        dead_letters: dead_letters(reader),
        overrides,
    };
    if let Some(dead_letters) = &consumed.dead_letters
        && consumed.topics.contains(&dead_letters.topic)
    {
        reader.error(format!(
            "The DLQ topic '{}' may not be included in the list of topics (\"topics={}\") \
             consumed by the connector",
            dead_letters.topic,
            consumed.topics.join(",")
        ));
    }
    consumed
}

fn topics(reader: &mut Reader<'_>) -> Vec<String> {
    let topics = reader.list("topics");
    if topics.is_empty() {
        reader.error("Must configure one of topics or topics.regex");
    }
    topics
}

fn dead_letters(reader: &mut Reader<'_>) -> Option<DeadLetterRules> {
    let replication = reader.number("errors.deadletterqueue.topic.replication.factor", 3);
    let headers = reader.flag("errors.deadletterqueue.context.headers.enable", false);
    let topic = reader.text("errors.deadletterqueue.topic.name");
    topic.map(|topic| DeadLetterRules {
        topic: topic.to_owned(),
        replication,
        headers,
    })
}

/// Rows per statement where `batch.size` does not say. More gains no speed and takes memory.
pub(super) const LARGEST_STATEMENT: usize = 256;

/// `user` and `password` as their keys said, which differ by connector.
pub(super) fn database(
    reader: &mut Reader<'_>,
    user: Option<&str>,
    password: Option<&str>,
) -> Option<Secret> {
    let url = reader.required("connection.url")?;
    let database = driver_url(url, user, password);
    database
        .map_err(|error| reader.error(error.to_string()))
        .ok()
}

pub(super) fn insert_mode(reader: &mut Reader<'_>) -> InsertMode {
    if reader.text("insert.mode") == Some("update") {
        reader.invalid("insert.mode", "connect-worker has insert and upsert");
        return InsertMode::Insert;
    }
    let modes = [
        ("insert", InsertMode::Insert),
        ("upsert", InsertMode::Upsert),
    ];
    reader.choice("insert.mode", InsertMode::Insert, &modes)
}

pub(super) fn key_mode(reader: &mut Reader<'_>, key: &str) -> KeyMode {
    let modes = [
        ("none", KeyMode::None),
        ("kafka", KeyMode::Kafka),
        ("record_key", KeyMode::RecordKey),
        ("record_value", KeyMode::RecordValue),
    ];
    reader.choice(key, KeyMode::None, &modes)
}

pub(super) fn assemble(
    reader: &mut Reader<'_>,
    (common, consumed): (Common, Consumed),
    database: Option<Secret>,
    tables: TableRules,
    retries: Retries,
) -> Option<SinkConfig> {
    if tables.delete && tables.key != KeyMode::RecordKey {
        reader.error("Primary key mode must be 'record_key' when delete support is enabled");
    }
    Some(SinkConfig {
        tasks_max: common.tasks_max,
        topics: consumed.topics,
        database: database?,
        tables,
        retries,
        key_converter: common.key_converter,
        value_converter: common.value_converter,
        transforms: common.transforms,
        errors: ErrorRules {
            tolerate: common.tolerate,
            dead_letters: consumed.dead_letters,
            log: common.log,
        },
        consumer: consumed.overrides,
    })
}
