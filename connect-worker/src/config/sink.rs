//! The keys that every sink has.

use std::collections::BTreeMap;

use shared::settings::Secret;

use super::common::Common;
use super::reader::Reader;
use super::{DeadLetterRules, ErrorRules, KeyMode, Retries, SinkConfig, TableRules, Topics};
use crate::jdbc_url::driver_url;
use crate::transforms::whole;

pub(super) struct Consumed {
    /// `None` if they cannot be told.
    topics: Option<Topics>,
    dead_letters: Option<DeadLetterRules>,
    overrides: BTreeMap<String, String>,
}

pub(super) fn consumed(reader: &mut Reader<'_>) -> Consumed {
    let overrides = reader.with_prefix("consumer.override.");
    let overrides = overrides
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let consumed = Consumed {
        topics: topics(reader),
        dead_letters: dead_letters(reader),
        overrides,
    };
    if let (Some(topics), Some(dead_letters)) = (&consumed.topics, &consumed.dead_letters) {
        check_apart(reader, topics, &dead_letters.topic);
    }
    consumed
}

/// What cannot be written must not come back as something to write.
fn check_apart(reader: &mut Reader<'_>, topics: &Topics, dead_letters: &str) {
    match topics {
        Topics::Named(names) if names.iter().any(|name| name == dead_letters) => {
            let message = format!(
                "The DLQ topic '{dead_letters}' may not be included in the list of topics \
                 ('topics=[{}]') consumed by the connector",
                names.join(", ")
            );
            reader.error("topics", message);
        }
        Topics::Matching(regex) if regex.is_match(dead_letters) => {
            let written = reader.text("topics.regex").unwrap_or_default();
            let message = format!(
                "The DLQ topic '{dead_letters}' may not be included in the regex matching \
                 topics ('topics.regex={written}') consumed by the connector"
            );
            reader.error("topics.regex", message);
        }
        _ => {}
    }
}

fn topics(reader: &mut Reader<'_>) -> Option<Topics> {
    let names = reader.list("topics");
    match (names.is_empty(), reader.text("topics.regex")) {
        (false, None) => Some(Topics::Named(names)),
        (true, Some(regex)) => match whole(regex) {
            Ok(regex) => Some(Topics::Matching(regex)),
            Err(problem) => {
                reader.invalid("topics.regex", &format!("Invalid regex: {problem}"));
                None
            }
        },
        (false, Some(_)) => {
            let message =
                "topics and topics.regex are mutually exclusive options, but both are set.";
            // Told of each of the two.
            reader.error("topics", message);
            reader.error("topics.regex", message);
            None
        }
        (true, None) => {
            let message = "Must configure one of topics or topics.regex";
            reader.error("topics", message);
            reader.error("topics.regex", message);
            None
        }
    }
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

/// `user` and `password` as their keys said, which differ by connector.
pub(super) fn database(
    reader: &mut Reader<'_>,
    user: Option<&str>,
    password: Option<&str>,
) -> Option<Secret> {
    let url = reader.required("connection.url")?;
    let database = driver_url(url, user, password);
    database
        .map_err(|error| reader.error("connection.url", error.to_string()))
        .ok()
}

/// Where rows go, as the connector's own keys say.
pub(super) struct Target {
    pub(super) database: Option<Secret>,
    pub(super) tables: TableRules,
    pub(super) retries: Retries,
    pub(super) connection: Option<Retries>,
}

pub(super) fn assemble(
    reader: &mut Reader<'_>,
    common: Common,
    consumed: Consumed,
    target: Target,
) -> Option<SinkConfig> {
    if target.tables.delete && target.tables.key != KeyMode::RecordKey {
        let message = "Primary key mode must be 'record_key' when delete support is enabled";
        reader.error("delete.enabled", message);
    }
    Some(SinkConfig {
        tasks_max: common.tasks_max,
        topics: consumed.topics?,
        database: target.database?,
        tables: target.tables,
        retries: target.retries,
        connection: target.connection,
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
