//! The keys that Connect itself reads, the same for every connector.

use shared::connect_json::Rules;

use super::reader::Reader;
use super::{Converter, transforms};
use crate::transforms::TransformRule;

pub(super) const STRING_CONVERTER: &str = "org.apache.kafka.connect.storage.StringConverter";
pub(super) const JSON_CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";

pub(super) const CONVERTERS: [&str; 2] = [JSON_CONVERTER, STRING_CONVERTER];

/// What sources and sinks have in common.
pub(super) struct Common {
    pub(super) tasks_max: usize,
    pub(super) key_converter: Converter,
    pub(super) value_converter: Converter,
    pub(super) transforms: Vec<TransformRule>,
    /// `errors.tolerance=all`.
    pub(super) tolerate: bool,
    pub(super) log: ErrorLog,
}

/// `errors.log.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorLog {
    pub enabled: bool,
    /// With the record's key and value.
    pub messages: bool,
}

/// Nothing that is converted or transformed here can fail for a while only, so there is
/// nothing to retry; of the others there is but one way.
const WITHOUT_EFFECT: [&str; 9] = [
    "config.action.reload",
    "connector.class",
    "connector.plugin.version",
    "errors.retry.delay.max.ms",
    "errors.retry.timeout",
    "header.converter",
    "key.converter.plugin.version",
    "name",
    "value.converter.plugin.version",
];

/// Of the clients that Connect makes for a connector, only a sink's consumer can be tuned.
const UNSUPPORTED_FAMILIES: [&str; 3] = ["admin.override.", "predicates.", "producer.override."];

pub(super) fn read(reader: &mut Reader<'_>) -> Common {
    reader.accept(&WITHOUT_EFFECT);
    for prefix in UNSUPPORTED_FAMILIES {
        reader.refuse_others(prefix);
    }
    reader.number("errors.retry.timeout", 0_i64);
    reader.number("errors.retry.delay.max.ms", 60_000_i64);
    Common {
        tasks_max: tasks_max(reader),
        key_converter: converter(reader, "key.converter"),
        value_converter: converter(reader, "value.converter"),
        transforms: transforms::read(reader),
        tolerate: tolerate(reader),
        log: ErrorLog {
            enabled: reader.flag("errors.log.enable", false),
            messages: reader.flag("errors.log.include.messages", false),
        },
    }
}

/// Each has connections of its own.
const MOST_TASKS: usize = 1_000;

fn tolerate(reader: &mut Reader<'_>) -> bool {
    match reader.text("errors.tolerance") {
        None | Some("none" | "NONE") => false,
        Some("all" | "ALL") => true,
        Some(_) => {
            reader.invalid("errors.tolerance", "String must be one of: none, all");
            false
        }
    }
}

fn tasks_max(reader: &mut Reader<'_>) -> usize {
    reader.flag("tasks.max.enforce", true);
    let tasks = reader.number("tasks.max", 1);
    if tasks == 0 {
        reader.invalid("tasks.max", "Value must be at least 1");
    }
    if tasks > MOST_TASKS {
        let problem = format!("Value must be no more than {MOST_TASKS}");
        reader.invalid("tasks.max", &problem);
    }
    tasks
}

/// `prefix` is `key.converter` or `value.converter`. `strict` is this worker's own key, which
/// Connect's converter ignores.
fn converter(reader: &mut Reader<'_>, prefix: &str) -> Converter {
    let key = |name: &str| format!("{prefix}.{name}");
    reader.accept(&[&key("schemas.cache.size"), &key("converter.type")]);
    reader.refuse(&[&key("schema.content")]);
    let schemas = reader.flag(&key("schemas.enable"), true);
    let rules = Rules {
        strict: reader.flag(&key("strict"), false),
        replace_null_with_default: reader.flag(&key("replace.null.with.default"), true),
    };
    let formats = [("base64", false), ("numeric", true)];
    let numeric_decimals = reader.choice(&key("decimal.format"), false, &formats);
    match reader.text(prefix) {
        Some(STRING_CONVERTER) => {
            encoding(reader, &key("converter.encoding"));
            Converter::String
        }
        None | Some(JSON_CONVERTER) => Converter::Json {
            schemas,
            rules,
            numeric_decimals,
        },
        Some(_) => {
            let problem = format!("connect-worker has {JSON_CONVERTER} and {STRING_CONVERTER}");
            reader.invalid(prefix, &problem);
            Converter::String
        }
    }
}

fn encoding(reader: &mut Reader<'_>, key: &str) {
    reader.refuse_unless(key, &["UTF-8", "UTF8"]);
}
