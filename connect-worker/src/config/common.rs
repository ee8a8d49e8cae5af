//! The keys that Connect itself reads, the same for every connector.

use std::collections::BTreeMap;

use shared::connect_json::Rules;

use shared::settings::Secret;

use super::reader::Reader;
use super::{
    Converter, DeadLetterRules, ErrorRules, InsertMode, KeyMode, Retries, SinkConfig, TableRules,
};
use crate::jdbc_url::driver_url;

pub(super) const STRING_CONVERTER: &str = "org.apache.kafka.connect.storage.StringConverter";
pub(super) const JSON_CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";

pub(super) struct Common {
    pub(super) tasks_max: usize,
    pub(super) topics: Vec<String>,
    pub(super) key_converter: Converter,
    pub(super) value_converter: Converter,
    pub(super) errors: ErrorRules,
    pub(super) consumer: BTreeMap<String, String>,
}

const UNSUPPORTED: [&str; 4] = [
    "topics.regex",
    "transforms",
    "predicates",
    "errors.retry.timeout",
];

pub(super) fn read(reader: &mut Reader<'_>) -> Common {
    for key in [
        "name",
        "connector.class",
        "header.converter",
        "config.action.reload",
    ] {
        reader.text(key);
    }
    for key in [
        "errors.log.enable",
        "errors.log.include.messages",
        "errors.retry.delay.max.ms",
    ] {
        reader.text(key);
    }
    reader.refuse(&UNSUPPORTED);
    let consumer = reader.with_prefix("consumer.override.");
    let consumer = consumer
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let common = Common {
        tasks_max: tasks_max(reader),
        topics: topics(reader),
        key_converter: converter(reader, KEY_CONVERTER),
        value_converter: converter(reader, VALUE_CONVERTER),
        errors: errors(reader),
        consumer,
    };
    if let Some(dead_letters) = &common.errors.dead_letters
        && common.topics.contains(&dead_letters.topic)
    {
        reader.error(format!(
            "The DLQ topic '{}' may not be included in the list of topics (\"topics={}\") \
             consumed by the connector",
            dead_letters.topic,
            common.topics.join(",")
        ));
    }
    common
}

fn tasks_max(reader: &mut Reader<'_>) -> usize {
    let tasks = reader.number("tasks.max", 1);
    if tasks == 0 {
        reader.invalid("tasks.max", "Value must be at least 1");
    }
    tasks
}

fn topics(reader: &mut Reader<'_>) -> Vec<String> {
    let topics = reader.list("topics");
    if topics.is_empty() {
        reader.error("Must configure one of topics or topics.regex");
    }
    topics
}

struct ConverterKeys {
    class: &'static str,
    schemas: &'static str,
    replace_null: &'static str,
    /// This worker's own; Connect's converter ignores it.
    strict: &'static str,
}

const KEY_CONVERTER: ConverterKeys = ConverterKeys {
    class: "key.converter",
    schemas: "key.converter.schemas.enable",
    replace_null: "key.converter.replace.null.with.default",
    strict: "key.converter.strict",
};

const VALUE_CONVERTER: ConverterKeys = ConverterKeys {
    class: "value.converter",
    schemas: "value.converter.schemas.enable",
    replace_null: "value.converter.replace.null.with.default",
    strict: "value.converter.strict",
};

fn converter(reader: &mut Reader<'_>, keys: ConverterKeys) -> Converter {
    match reader.text(keys.class) {
        Some(STRING_CONVERTER) => Converter::String,
        None | Some(JSON_CONVERTER) => Converter::Json {
            schemas: reader.flag(keys.schemas, true),
            rules: Rules {
                strict: reader.flag(keys.strict, false),
                replace_null_with_default: reader.flag(keys.replace_null, true),
            },
        },
        Some(_) => {
            let problem = format!("connect-worker has {JSON_CONVERTER} and {STRING_CONVERTER}");
            reader.invalid(keys.class, &problem);
            Converter::String
        }
    }
}

fn errors(reader: &mut Reader<'_>) -> ErrorRules {
    let tolerate = reader.choice("errors.tolerance", false, &[("none", false), ("all", true)]);
    let replication = reader.number("errors.deadletterqueue.topic.replication.factor", 3);
    let headers = reader.flag("errors.deadletterqueue.context.headers.enable", false);
    let topic = reader.text("errors.deadletterqueue.topic.name");
    let dead_letters = topic.map(|topic| DeadLetterRules {
        topic: topic.to_owned(),
        replication,
        headers,
    });
    ErrorRules {
        tolerate,
        dead_letters,
    }
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

pub(super) fn key_mode(reader: &mut Reader<'_>, key: &'static str) -> KeyMode {
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
    common: Common,
    database: Option<Secret>,
    tables: TableRules,
    retries: Retries,
) -> Option<SinkConfig> {
    if tables.delete && tables.key != KeyMode::RecordKey {
        reader.error("Primary key mode must be 'record_key' when delete support is enabled");
    }
    Some(SinkConfig {
        tasks_max: common.tasks_max,
        topics: common.topics,
        database: database?,
        tables,
        retries,
        key_converter: common.key_converter,
        value_converter: common.value_converter,
        errors: common.errors,
        consumer: common.consumer,
    })
}
