//! The keys of Debezium's JDBC sink 3.5.

use std::time::Duration;

use super::reader::{ConfigErrors, Reader};
use super::{Dots, OnTombstone, Retries, SinkConfig, TableFormat, TableRules, common, sink};
use crate::env::Properties;

const UNSUPPORTED: [&str; 9] = [
    "collection.naming.strategy",
    "column.naming.strategy",
    "database.time_zone",
    "field.exclude.list",
    "field.include.list",
    "table.naming.strategy",
    "truncate.enabled",
    "use.reduction.buffer",
    "use.time.zone",
];

pub(super) fn parse(properties: &Properties) -> Result<SinkConfig, ConfigErrors> {
    let mut reader = Reader::new(properties);
    let common = common::read(&mut reader);
    let consumed = sink::consumed(&mut reader);
    reader.refuse(&UNSUPPORTED);
    let user = reader.text("connection.username");
    let password = reader.text("connection.password");
    let database = sink::database(&mut reader, user, password);
    let tables = tables(&mut reader);
    let retries = Retries {
        max: reader.number("flush.max.retries", 5),
        delay: Duration::from_millis(reader.number("flush.retry.delay.ms", 1_000)),
    };
    let parsed = sink::assemble(&mut reader, (common, consumed), database, tables, retries);
    reader.finish(parsed)
}

fn tables(reader: &mut Reader<'_>) -> TableRules {
    let evolution = [("none", false), ("basic", true)];
    let evolve = reader.choice("schema.evolution", false, &evolution);
    let former_format = reader.text("table.name.format");
    let format = reader
        .text("collection.name.format")
        .or(former_format)
        .unwrap_or("${topic}");
    TableRules {
        insert_mode: sink::insert_mode(reader),
        key: sink::key_mode(reader, "primary.key.mode"),
        key_fields: reader.list("primary.key.fields"),
        name: TableFormat {
            format: format.to_owned(),
            dots: Dots::Replace,
        },
        create: evolve,
        evolve,
        delete: reader.flag("delete.enabled", false),
        on_tombstone: OnTombstone::Skip,
        batch_size: reader.number("batch.size", sink::LARGEST_STATEMENT),
    }
}
