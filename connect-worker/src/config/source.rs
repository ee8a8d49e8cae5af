//! The keys of Confluent's JDBC source 10, and of Aiven's.

use std::time::Duration;

use chrono::DateTime;
use chrono_tz::Tz;
use regex::Regex;
use shared::settings::Secret;

use super::confluent::Maker;
use super::reader::{ConfigErrors, Reader};
use super::{Converter, Retries, TableKinds, common, confluent, sink, tables};
use crate::dialect::Quoting;
use crate::transforms::{TransformRule, whole};

/// What a source is to do.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    pub tasks_max: usize,
    /// The database driver's URL, credentials included.
    pub database: Secret,
    pub connection: Retries,
    pub tables: TableSelection,
    pub kinds: TableKinds,
    pub mode: Mode,
    pub columns: Columns,
    /// Before a table's name: its topic. Of a query, the whole name.
    pub topic_prefix: String,
    pub poll_interval: Duration,
    /// How often to look for new tables.
    pub table_poll_interval: Duration,
    pub batch_rows: usize,
    pub quoting: Quoting,
    pub key_converter: Converter,
    pub value_converter: Converter,
    pub transforms: Vec<TransformRule>,
    /// `errors.tolerance=all`: what cannot be converted is left out.
    pub tolerate: bool,
    /// `topic.creation.default.*`; -1 is the broker's default.
    pub replication: i32,
    pub partitions: i32,
}

/// What to read.
#[derive(Debug, Clone)]
pub enum TableSelection {
    /// The rows of a statement instead of tables.
    Query(String),
    /// A missing one is an error.
    Named(Vec<String>),
    AllBut(Vec<String>),
    Matching(Vec<Regex>),
}

/// How rows that are new are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// Only new rows, by this growing column. An empty name: the one that the database counts.
    pub incrementing: Option<String>,
    /// New and changed rows: the first of these that is not null is later than before.
    pub timestamps: Vec<String>,
    /// Rows younger than this wait: a transaction that is still open may bring an older one.
    pub delay: Duration,
    /// Without an offset, ids above this are new.
    pub initial_id: i64,
    /// Where to begin without an offset, in ms since 1970; `None` is now.
    pub initial: Option<i64>,
    /// How long rows behind a gap in the incrementing column wait for it to be filled.
    pub gap_wait: Duration,
    pub validate_non_null: bool,
}

impl Mode {
    /// Neither column: every row, every time.
    pub fn is_bulk(&self) -> bool {
        self.incrementing.is_none() && self.timestamps.is_empty()
    }
}

/// How columns become fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// Of columns without a zone.
    pub zone: Tz,
    pub numeric: NumericMapping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumericMapping {
    /// Decimal, always.
    None,
    /// Integers where there is no scale.
    PrecisionOnly,
    /// That, and doubles where there is one and up to 18 digits.
    BestFit,
    /// That, and doubles whatever the digits.
    BestFitEagerDouble,
}

/// There are no plans, the driver finds the dialect by the URL, and a start waits for
/// nothing.
const WITHOUT_EFFECT: [&str; 2] = ["dialect.name", "table.monitoring.startup.polling.limit.ms"];
const UNSUPPORTED: [&str; 9] = [
    "catalog.pattern",
    "incrementing.column.mapping",
    "offsets.storage.topic",
    "query.masked",
    "query.suffix",
    "schema.pattern",
    "table.exclude.list",
    "timestamp.columns.mapping",
    "transaction.boundary.interval.ms",
];
/// Keys with the values that say what we do.
const DEFAULTS: [(&str, &[&str]); 7] = [
    ("exactly.once.support", &["requested"]),
    ("incrementing.relaxed.monotonic", &["false"]),
    ("query.retry.attempts", &["-1"]),
    ("timestamp.granularity", &["connect_logical"]),
    ("transaction.boundary", &["poll"]),
    (
        "transaction.isolation.mode",
        &["default", "read_committed", "read_commited"],
    ),
    ("trim.sensitive.log", &["false"]),
];

pub(super) fn parse(mut reader: Reader<'_>, maker: Maker) -> Result<SourceConfig, ConfigErrors> {
    let common = common::read(&mut reader);
    refuse_unsupported(&mut reader);
    let user = reader.text("connection.user");
    let password = reader.text("connection.password");
    let database = sink::database(&mut reader, user, password);
    let topic_prefix = reader.required("topic.prefix").map(str::to_owned);
    let mode = mode(&mut reader, maker);
    let columns = Columns {
        zone: tables::zone(&mut reader, "db.timezone"),
        numeric: numeric_mapping(&mut reader),
    };
    let partitions = reader.number("topic.creation.default.partitions", 1);
    let replication = reader.number("topic.creation.default.replication.factor", -1);
    reader.refuse_others("topic.creation.");
    let rules = Rules {
        connection: confluent::connection(&mut reader, maker),
        tables: selection(&mut reader),
        kinds: tables::table_kinds(&mut reader),
        poll_interval: millis(&mut reader, "poll.interval.ms", 5_000),
        table_poll_interval: millis(&mut reader, "table.poll.interval.ms", 60_000),
        batch_rows: reader.number("batch.max.rows", 100_usize).max(1),
        quoting: quoting(&mut reader, maker),
    };
    let parsed = (|| {
        Some(SourceConfig {
            tasks_max: match rules.tables {
                Some(TableSelection::Query(_)) => 1,
                _ => common.tasks_max,
            },
            database: database?,
            connection: rules.connection,
            tables: rules.tables?,
            kinds: rules.kinds,
            mode: mode?,
            columns,
            topic_prefix: topic_prefix?,
            poll_interval: rules.poll_interval,
            table_poll_interval: rules.table_poll_interval,
            batch_rows: rules.batch_rows,
            quoting: rules.quoting,
            key_converter: common.key_converter,
            value_converter: common.value_converter,
            transforms: common.transforms,
            tolerate: common.tolerate,
            replication,
            partitions,
        })
    })();
    reader.finish(parsed)
}

fn refuse_unsupported(reader: &mut Reader<'_>) {
    reader.refuse(&UNSUPPORTED);
    for (key, same) in DEFAULTS {
        reader.refuse_unless(key, same);
    }
    reader.accept(&WITHOUT_EFFECT);
}

/// What cannot fail to be told.
struct Rules {
    connection: Retries,
    tables: Option<TableSelection>,
    kinds: TableKinds,
    poll_interval: Duration,
    table_poll_interval: Duration,
    batch_rows: usize,
    quoting: Quoting,
}

/// A hundred years: more than that cannot be reckoned with.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

fn millis(reader: &mut Reader<'_>, key: &str, default: u64) -> Duration {
    Duration::from_millis(reader.number(key, default)).min(LONGEST)
}

fn quoting(reader: &mut Reader<'_>, maker: Maker) -> Quoting {
    let choices = [("always", Quoting::Always), ("never", Quoting::Never)];
    let flags = [("true", Quoting::Always), ("false", Quoting::Never)];
    match maker {
        Maker::Confluent => reader.choice("quote.sql.identifiers", Quoting::Always, &choices),
        Maker::Aiven => reader.choice("sql.quote.identifiers", Quoting::Always, &flags),
    }
}

fn mode(reader: &mut Reader<'_>, maker: Maker) -> Option<Mode> {
    let column = reader
        .text("incrementing.column.name")
        .unwrap_or_default()
        .to_owned();
    let timestamps = reader.list("timestamp.column.name");
    let kinds = [
        ("bulk", (false, false)),
        ("incrementing", (true, false)),
        ("timestamp", (false, true)),
        ("timestamp+incrementing", (true, true)),
    ];
    let (incrementing, timestamp) = match reader.required("mode") {
        Some(_) => reader.choice("mode", (false, false), &kinds),
        None => return None,
    };
    if timestamp && timestamps.is_empty() {
        let message = "timestamp.column.name is needed in the modes with a timestamp";
        reader.error("timestamp.column.name", message);
    }
    Some(Mode {
        incrementing: incrementing.then_some(column),
        timestamps: if timestamp { timestamps } else { Vec::new() },
        delay: millis(reader, "timestamp.delay.interval.ms", 0),
        initial_id: match maker {
            Maker::Confluent => -1,
            Maker::Aiven => reader.number("incrementing.initial", -1),
        },
        initial: match maker {
            Maker::Confluent => initial(reader, "timestamp.initial").filter(|ms| *ms != -1),
            Maker::Aiven => initial(reader, "timestamp.initial.ms"),
        },
        gap_wait: millis(reader, "incrementing.gap.wait.ms", 2_000),
        validate_non_null: reader.flag("validate.non.null", true),
    })
}

fn initial(reader: &mut Reader<'_>, key: &str) -> Option<i64> {
    let millis = reader.number(key, 0);
    if DateTime::from_timestamp_millis(millis).is_none() {
        reader.invalid(key, "Not a point in time");
    }
    Some(millis)
}

fn selection(reader: &mut Reader<'_>) -> Option<TableSelection> {
    let named = reader.list("table.whitelist");
    let all_but = reader.list("table.blacklist");
    let mut patterns = Vec::new();
    for text in reader.list("table.include.list") {
        match whole(&text) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => {
                reader.invalid("table.include.list", &format!("Invalid regex: {problem}"));
            }
        }
    }
    let query = reader.text("query");
    let lists = [named.is_empty(), all_but.is_empty(), patterns.is_empty()];
    match (query, lists) {
        (Some(query), [true, true, true]) => {
            let end = |c: char| c == ';' || c.is_whitespace();
            Some(TableSelection::Query(
                query.trim_end_matches(end).to_owned(),
            ))
        }
        (None, [false, true, true]) => Some(TableSelection::Named(named)),
        (None, [true, _, true]) => Some(TableSelection::AllBut(all_but)),
        (None, [true, true, false]) => Some(TableSelection::Matching(patterns)),
        _ => {
            reader.error(
                "table.whitelist",
                "Only one of query, table.whitelist, table.blacklist and table.include.list may \
                 be given",
            );
            None
        }
    }
}

fn numeric_mapping(reader: &mut Reader<'_>) -> NumericMapping {
    // The former key, for when the new one is not given.
    let default = match reader.flag("numeric.precision.mapping", false) {
        true => NumericMapping::PrecisionOnly,
        false => NumericMapping::None,
    };
    let mappings = [
        ("none", NumericMapping::None),
        ("precision_only", NumericMapping::PrecisionOnly),
        ("best_fit", NumericMapping::BestFit),
        ("best_fit_eager_double", NumericMapping::BestFitEagerDouble),
    ];
    reader.choice("numeric.mapping", default, &mappings)
}
