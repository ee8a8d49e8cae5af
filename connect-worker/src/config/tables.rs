//! Values of keys that say how rows are written.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use regex::Regex;

use super::reader::Reader;
use super::{FieldFilter, InsertMode, KeyMode, TableKinds, TimeZones, TimestampFields};
use crate::transforms::whole;

/// Records per batch, and so per transaction, where `max.poll.records` does not say (fewer for
/// updates); rows per statement where `batch.size` does not. A commit costs the database, and one of
/// offsets Kafka, as much for few as for many.
pub(crate) const BATCH_RECORDS: usize = 4_096;

pub(super) const INSERT_MODES: [(&str, InsertMode); 3] = [
    ("insert", InsertMode::Insert),
    ("upsert", InsertMode::Upsert),
    ("update", InsertMode::Update),
];

pub(super) fn key_mode(reader: &mut Reader<'_>, key: &str) -> KeyMode {
    if reader
        .text(key)
        .is_some_and(|mode| mode.eq_ignore_ascii_case("record_header"))
    {
        reader.invalid(
            key,
            "connect-worker has none, kafka, record_key and record_value",
        );
        return KeyMode::None;
    }
    let modes = [
        ("none", KeyMode::None),
        ("kafka", KeyMode::Kafka),
        ("record_key", KeyMode::RecordKey),
        ("record_value", KeyMode::RecordValue),
    ];
    reader.choice(key, KeyMode::None, &modes)
}

pub(super) fn whitelist(reader: &mut Reader<'_>, key: &str) -> FieldFilter {
    match reader.list(key) {
        names if names.is_empty() => FieldFilter::All,
        names => FieldFilter::Named(names),
    }
}

/// Debezium's two lists of patterns, of which one may be given.
pub(super) fn field_patterns(reader: &mut Reader<'_>) -> FieldFilter {
    let include = patterns(reader, "field.include.list");
    let exclude = patterns(reader, "field.exclude.list");
    match (include.is_empty(), exclude.is_empty()) {
        (true, true) => FieldFilter::All,
        (false, true) => FieldFilter::Include(include),
        (true, false) => FieldFilter::Exclude(exclude),
        (false, false) => {
            let problem = "only one of field.include.list and field.exclude.list may be given";
            reader.invalid("field.exclude.list", problem);
            FieldFilter::All
        }
    }
}

fn patterns(reader: &mut Reader<'_>, key: &str) -> Vec<Regex> {
    let mut patterns = Vec::new();
    for text in reader.list(key) {
        match whole(&format!("(?i:{text})")) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => reader.invalid(key, &format!("Invalid regex: {problem}")),
        }
    }
    patterns
}

/// A partitioned table counts as a table.
pub(super) fn table_kinds(reader: &mut Reader<'_>) -> TableKinds {
    let mut kinds = TableKinds {
        tables: false,
        views: false,
    };
    let names = reader.list("table.types");
    for name in &names {
        match name.to_uppercase().as_str() {
            "TABLE" | "PARTITIONED TABLE" => kinds.tables = true,
            "VIEW" => kinds.views = true,
            _ => reader.invalid("table.types", "Invalid enumerator"),
        }
    }
    kinds.tables |= names.is_empty();
    kinds
}

/// Dates follow the database's zone, as Confluent's sink lets them, unless
/// `date.timezone=UTC`.
pub(super) fn zones(reader: &mut Reader<'_>) -> TimeZones {
    let database = zone(reader, "db.timezone");
    let dates_too = [("db_timezone", true), ("utc", false)];
    let dates_too = reader.choice("date.timezone", true, &dates_too);
    TimeZones {
        timestamp: database,
        date: if dates_too { database } else { Tz::UTC },
        time: database,
    }
}

pub(super) fn zone(reader: &mut Reader<'_>, key: &str) -> Tz {
    let name = reader.text(key).unwrap_or("UTC");
    name.parse().unwrap_or_else(|_| {
        reader.invalid(key, "Invalid time zone identifier");
        Tz::UTC
    })
}

pub(super) fn timestamp_fields(reader: &mut Reader<'_>) -> TimestampFields {
    let units = [("microseconds", false), ("nanoseconds", true)];
    TimestampFields {
        names: reader.list("timestamp.fields.list"),
        nanoseconds: reader.choice("timestamp.precision.mode", false, &units),
    }
}

/// Aiven's `topic:table,…`.
pub(super) fn mapping(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let key = "topics.to.tables.mapping";
    let mut mapping = BTreeMap::new();
    for pair in reader.list(key) {
        match pair.split_once(':') {
            Some((topic, table)) if !topic.is_empty() && !table.is_empty() => {
                mapping.insert(topic.to_owned(), table.to_owned());
            }
            _ => reader.invalid(key, "expected topic:table, separated by commas"),
        }
    }
    mapping
}
