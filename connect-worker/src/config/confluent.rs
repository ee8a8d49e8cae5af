//! The keys of Confluent's JDBC sink 10, and of Aiven's.

use std::time::Duration;

use super::reader::{ConfigErrors, Reader};
use super::{Dots, OnTombstone, Retries, SinkConfig, TableFormat, TableRules, common, sink};
use crate::env::Properties;

const UNSUPPORTED: [&str; 10] = [
    "date.timezone",
    "db.timezone",
    "fields.whitelist",
    "pk.fields.regex",
    "quote.sql.identifiers",
    "replace.null.with.default",
    "sql.quote.identifiers",
    "string.output.value.column.name",
    "table.name.normalize",
    "timestamp.fields.list",
];

pub(super) fn parse(properties: &Properties) -> Result<SinkConfig, ConfigErrors> {
    let mut reader = Reader::new(properties);
    let common = common::read(&mut reader);
    let consumed = sink::consumed(&mut reader);
    reader.refuse(&UNSUPPORTED);
    // The driver finds the dialect by the URL, and waits for a lost database by itself.
    for key in [
        "dialect.name",
        "connection.attempts",
        "connection.backoff.ms",
        "table.types",
    ] {
        reader.text(key);
    }
    let user = reader.text("connection.user");
    let password = reader.text("connection.password");
    let database = sink::database(&mut reader, user, password);
    let tables = tables(&mut reader);
    let retries = Retries {
        max: reader.number("max.retries", 10),
        delay: Duration::from_millis(reader.number("retry.backoff.ms", 3_000)),
    };
    let parsed = sink::assemble(&mut reader, (common, consumed), database, tables, retries);
    reader.finish(parsed)
}

fn tables(reader: &mut Reader<'_>) -> TableRules {
    let format = reader.text("table.name.format").unwrap_or("${topic}");
    TableRules {
        insert_mode: sink::insert_mode(reader),
        key: sink::key_mode(reader, "pk.mode"),
        key_fields: reader.list("pk.fields"),
        name: TableFormat {
            format: format.to_owned(),
            dots: Dots::Qualify,
        },
        create: reader.flag("auto.create", false),
        evolve: reader.flag("auto.evolve", false),
        delete: reader.flag("delete.enabled", false),
        on_tombstone: OnTombstone::Refuse,
        batch_size: reader.number("batch.size", sink::LARGEST_STATEMENT),
    }
}
