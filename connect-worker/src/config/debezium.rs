//! The keys of Debezium's JDBC sink 3.5.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;

use super::reader::{ConfigErrors, Reader};
use super::{
    Dots, InsertMode, OnTombstone, Retries, SinkConfig, TableFormat, TableKinds, TableRules,
    TimeZones, TimestampFields, common, sink, tables,
};
use crate::dialect::Quoting;

/// One connection is enough here, and of the rows of one key in a batch only the last is
/// written anyway.
const WITHOUT_EFFECT: [&str; 10] = [
    "connection.pool.acquire_increment",
    "connection.pool.max_size",
    "connection.pool.min_size",
    "connection.pool.timeout",
    "connection.provider",
    "connection.restart.on.errors",
    "dialect.postgres.postgis.schema",
    "dialect.postgres.unnest.insert.enabled",
    "dialect.sqlserver.identity.insert",
    "use.reduction.buffer",
];
const UNSUPPORTED: [&str; 4] = [
    "cloud.events.schema.name.pattern",
    "cloudevents.schema.name.pattern",
    "collection.table.format",
    "keyed.message.batch.mode",
];
/// Keys whose defaults say what we do.
const DEFAULTS: [(&str, &[&str]); 4] = [
    (
        "collection.naming.strategy",
        &["io.debezium.sink.naming.DefaultCollectionNamingStrategy"],
    ),
    (
        "column.naming.strategy",
        &[
            "io.debezium.connector.jdbc.naming.DefaultColumnNamingStrategy",
            "io.debezium.sink.naming.DefaultColumnNamingStrategy",
        ],
    ),
    (
        "table.naming.strategy",
        &["io.debezium.connector.jdbc.naming.DefaultTableNamingStrategy"],
    ),
    ("truncate.enabled", &["false"]),
];

pub(super) fn parse(mut reader: Reader<'_>) -> Result<SinkConfig, ConfigErrors> {
    let common = common::read(&mut reader);
    let consumed = sink::consumed(&mut reader);
    reader.refuse(&UNSUPPORTED);
    reader.refuse_others("hibernate.");
    for (key, same) in DEFAULTS {
        reader.refuse_unless(key, same);
    }
    reader.accept(&WITHOUT_EFFECT);
    let user = reader.text("connection.username");
    let password = reader.text("connection.password");
    let database = sink::database(&mut reader, user, password);
    let tables = rules(&mut reader);
    let retries = Retries {
        max: reader.number("flush.max.retries", 5),
        delay: Duration::from_millis(reader.number("flush.retry.delay.ms", 1_000)),
    };
    let target = sink::Target {
        database,
        tables,
        retries,
        connection: None,
    };
    let parsed = sink::assemble(&mut reader, common, consumed, target);
    reader.finish(parsed)
}

fn rules(reader: &mut Reader<'_>) -> TableRules {
    let evolution = [("none", false), ("basic", true)];
    let evolve = reader.choice("schema.evolution", false, &evolution);
    let quote = reader.flag("quote.identifiers", true);
    TableRules {
        insert_mode: reader.choice("insert.mode", InsertMode::Insert, &tables::INSERT_MODES),
        key: tables::key_mode(reader, "primary.key.mode"),
        key_fields: reader.list("primary.key.fields"),
        name: format(reader),
        create: evolve,
        evolve,
        delete: reader.flag("delete.enabled", false),
        on_tombstone: OnTombstone::Skip,
        batch_size: reader.number("batch.size", tables::BATCH_RECORDS),
        fields: tables::field_patterns(reader),
        quoting: if quote {
            Quoting::Always
        } else {
            Quoting::Never
        },
        kinds: TableKinds {
            tables: true,
            views: true,
        },
        zones: zones(reader),
        timestamps: TimestampFields::default(),
        replace_null_with_default: false,
        text_column: None,
        refuse_debezium_times: true,
    }
}

fn format(reader: &mut Reader<'_>) -> TableFormat {
    let former = reader.text("table.name.format");
    let current = reader.text("collection.name.format");
    let format = current.or(former).unwrap_or("${topic}");
    if format.contains("${source.") {
        let problem = "connect-worker has ${topic}; ${source.*} is of Debezium's change events";
        reader.invalid("collection.name.format", problem);
    }
    TableFormat {
        format: format.to_owned(),
        dots: Dots::Replace,
        mapping: BTreeMap::new(),
    }
}

/// Only points in time follow the zone. It has a former name.
fn zones(reader: &mut Reader<'_>) -> TimeZones {
    let former = tables::zone(reader, "database.time_zone");
    let current = tables::zone(reader, "use.time.zone");
    TimeZones {
        timestamp: if current == Tz::UTC { former } else { current },
        ..TimeZones::UTC
    }
}
