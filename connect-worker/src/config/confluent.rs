//! The keys of Confluent's JDBC sink 10, and of Aiven's.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{ConfigErrors, Reader};
use super::{
    Dots, InsertMode, OnTombstone, Retries, SinkConfig, TableFormat, TableRules, TimeZones,
    TimestampFields, common, sink, tables,
};
use crate::dialect::Quoting;

/// Whose spelling it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    Confluent,
    Aiven,
}

/// The driver finds the dialect by the URL, and there are no plans to keep.
const WITHOUT_EFFECT: [&str; 2] = ["dialect.name", "mssql.use.merge.holdlock"];
const UNSUPPORTED: [&str; 4] = [
    "auto.evolve.types",
    "pk.fields.regex",
    "sql.complex.types.enable",
    "tables.name.mapping",
];

pub(super) fn parse(mut reader: Reader<'_>, maker: Maker) -> Result<SinkConfig, ConfigErrors> {
    let common = common::read(&mut reader);
    let consumed = sink::consumed(&mut reader);
    reader.refuse(&UNSUPPORTED);
    reader.refuse_unless("trim.sensitive.log", &["false"]);
    reader.accept(&WITHOUT_EFFECT);
    let user = reader.text("connection.user");
    let password = reader.text("connection.password");
    let database = sink::database(&mut reader, user, password);
    let tables = rules(&mut reader, maker);
    let retries = Retries {
        max: reader.number("max.retries", 10),
        delay: Duration::from_millis(reader.number("retry.backoff.ms", 3_000)),
    };
    let connection = connection(&mut reader, maker);
    let target = sink::Target {
        database,
        tables,
        retries,
        connection: Some(connection),
    };
    let parsed = sink::assemble(&mut reader, common, consumed, target);
    reader.finish(parsed)
}

/// The first attempt is one of `connection.attempts`. Called after the other keys of the
/// connection: what else begins like them, Confluent's connector hands to a Java driver.
pub(super) fn connection(reader: &mut Reader<'_>, maker: Maker) -> Retries {
    let attempts = reader.number("connection.attempts", 3_u32);
    if attempts == 0 {
        reader.invalid("connection.attempts", "Value must be at least 1");
    }
    let retries = Retries {
        max: attempts.saturating_sub(1),
        delay: Duration::from_millis(reader.number("connection.backoff.ms", 10_000)),
    };
    if maker == Maker::Confluent {
        reader.refuse_others("connection.");
        reader.refuse_others("jdbc.credentials.provider.");
    }
    retries
}

fn rules(reader: &mut Reader<'_>, maker: Maker) -> TableRules {
    let shared = TableRules {
        insert_mode: insert_mode(reader, maker),
        key: tables::key_mode(reader, "pk.mode"),
        key_fields: reader.list("pk.fields"),
        name: format(reader),
        create: reader.flag("auto.create", false),
        evolve: reader.flag("auto.evolve", false),
        delete: reader.flag("delete.enabled", false),
        on_tombstone: OnTombstone::Refuse,
        batch_size: reader.number("batch.size", tables::BATCH_RECORDS),
        fields: tables::whitelist(reader, "fields.whitelist"),
        quoting: Quoting::Always,
        kinds: tables::table_kinds(reader),
        zones: TimeZones::UTC,
        timestamps: TimestampFields::default(),
        replace_null_with_default: true,
        text_column: None,
        refuse_debezium_times: false,
    };
    match maker {
        Maker::Confluent => confluent_only(reader, shared),
        Maker::Aiven => aiven_only(reader, shared),
    }
}

fn insert_mode(reader: &mut Reader<'_>, maker: Maker) -> InsertMode {
    // One insert of many rows, as all of ours are.
    let multi = ("multi", InsertMode::Insert);
    let mut modes = tables::INSERT_MODES.to_vec();
    modes.extend((maker == Maker::Aiven).then_some(multi));
    reader.choice("insert.mode", InsertMode::Insert, &modes)
}

fn format(reader: &mut Reader<'_>) -> TableFormat {
    let format = reader.text("table.name.format").unwrap_or("${topic}");
    TableFormat {
        format: format.to_owned(),
        dots: Dots::Qualify,
        mapping: BTreeMap::new(),
    }
}

fn confluent_only(reader: &mut Reader<'_>, shared: TableRules) -> TableRules {
    let quoting = [("always", Quoting::Always), ("never", Quoting::Never)];
    let text_column = reader.text("string.output.value.column.name");
    TableRules {
        quoting: reader.choice("quote.sql.identifiers", Quoting::Always, &quoting),
        zones: tables::zones(reader),
        timestamps: tables::timestamp_fields(reader),
        replace_null_with_default: reader.flag("replace.null.with.default", true),
        text_column: Some(text_column.unwrap_or("value").to_owned()),
        ..shared
    }
}

fn aiven_only(reader: &mut Reader<'_>, shared: TableRules) -> TableRules {
    let zone = tables::zone(reader, "db.timezone");
    let normalize = reader.flag("table.name.normalize", false);
    let skip = reader.flag("handle.tombstone", false);
    let quote = reader.flag("sql.quote.identifiers", true);
    TableRules {
        on_tombstone: if skip {
            OnTombstone::Skip
        } else {
            OnTombstone::Refuse
        },
        quoting: if quote {
            Quoting::Always
        } else {
            Quoting::Never
        },
        zones: TimeZones {
            timestamp: zone,
            date: zone,
            time: zone,
        },
        name: TableFormat {
            dots: if normalize {
                Dots::Normalize
            } else {
                Dots::Qualify
            },
            mapping: tables::mapping(reader),
            ..shared.name
        },
        ..shared
    }
}
