//! Which statements a batch needs. Rows of one table and one layout share statements as
//! far as that changes nothing: the result is that of writing them one by one.

use std::collections::HashMap;
use std::sync::Arc;

use shared::connect_json::Value;

use super::layout::Layout;
use super::record::{Change, Row};

/// Rows that go into the same kind of statement.
#[derive(Debug)]
pub(super) struct Group<'r> {
    pub(super) change: Change,
    pub(super) rows: Vec<&'r Row>,
}

/// Groups in the order in which they are to be written. Each table's rows keep their
/// order; with `upsert`, of the writes of one key only the last is left, and its deletes if
/// there were any.
pub(super) fn groups(rows: &[Row], upsert: bool) -> Vec<Group<'_>> {
    by_table(rows)
        .into_iter()
        .flat_map(|rows| table_groups(&rows, upsert))
        .collect()
}

fn by_table(rows: &[Row]) -> Vec<Vec<&Row>> {
    let mut tables: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let same = tables.iter_mut().find(|table| table[0].table == row.table);
        match same {
            Some(table) => table.push(row),
            None => tables.push(vec![row]),
        }
    }
    tables
}

fn table_groups<'r>(rows: &[&'r Row], upsert: bool) -> Vec<Group<'r>> {
    let mut groups = Vec::new();
    for segment in segments(rows) {
        let keyed = segment.iter().all(|row| row.layout.has_key());
        if upsert && keyed {
            let last = last_of_each_key(segment);
            match last.iter().all(|row| equal_as_bytes(row)) {
                // Within a key, its delete comes first; between keys, the order is free.
                true => {
                    let (deletes, writes): (Vec<_>, Vec<_>) = last
                        .into_iter()
                        .partition(|row| row.change == Change::Delete);
                    append_runs(&mut groups, &deletes);
                    append_runs(&mut groups, &writes);
                }
                false => append_runs(&mut groups, &last),
            }
        } else {
            append_runs(&mut groups, segment);
        }
    }
    groups
}

/// Parts whose writes all have the same layout: a row that lacks a column leaves it as an
/// earlier row wrote it, so rows of different layouts cannot replace each other.
fn segments<'s, 'r>(rows: &'s [&'r Row]) -> Vec<&'s [&'r Row]> {
    let mut segments = Vec::new();
    let mut start = 0;
    let mut current: Option<&Arc<Layout>> = None;
    for (index, row) in rows.iter().enumerate() {
        if row.change == Change::Delete {
            continue;
        }
        if current.is_some_and(|layout| !Arc::ptr_eq(layout, &row.layout)) {
            segments.push(&rows[start..index]);
            start = index;
        }
        current = Some(&row.layout);
    }
    segments.push(&rows[start..]);
    segments
}

/// In their order, of each key the last delete and, if it came later, the last write: an
/// update of the row that was to be deleted would keep what this row does not name.
fn last_of_each_key<'r>(rows: &[&'r Row]) -> Vec<&'r Row> {
    let mut seen: HashMap<_, Change> = HashMap::with_capacity(rows.len());
    let is_last = |row: &&Row| match seen.insert(key(row), row.change) {
        None => true,
        Some(later) => {
            let deletes = row.change == Change::Delete && later == Change::Write;
            if !deletes {
                seen.insert(key(row), later);
            }
            deletes
        }
    };
    let mut last: Vec<&Row> = rows.iter().rev().copied().filter(is_last).collect();
    last.reverse();
    last
}

/// Whether the database can only hold keys to be equal that are so byte by byte. Its
/// collation may ignore case, and it takes 1.0 for 1.00.
fn equal_as_bytes(row: &Row) -> bool {
    let mut columns = row.layout.columns.iter().zip(&row.values);
    columns.all(|(column, value)| {
        !column.is_key
            || !matches!(
                value,
                Value::String(_) | Value::Decimal(_) | Value::Float32(_) | Value::Float64(_)
            )
    })
}

fn append_runs<'r>(groups: &mut Vec<Group<'r>>, rows: &[&'r Row]) {
    let alike = |a: &&Row, b: &&Row| a.change == b.change && Arc::ptr_eq(&a.layout, &b.layout);
    groups.extend(rows.chunk_by(alike).map(|run| Group {
        change: run[0].change,
        rows: run.to_vec(),
    }));
}

/// The key's values, in the order of their columns' names so that rows and deletes
/// compare.
fn key(row: &Row) -> Vec<u8> {
    let columns = row.layout.columns.iter().zip(&row.values);
    let mut parts: Vec<_> = columns.filter(|(column, _)| column.is_key).collect();
    if parts.len() > 1 {
        parts.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    }
    let mut key = Vec::with_capacity(40);
    for (_, value) in parts {
        append(&mut key, value);
    }
    key
}

/// Each value's length goes in front of it, so that no two keys run together alike.
fn append(key: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) | Value::Decimal(text) => append_bytes(key, text.as_bytes()),
        Value::Bytes(bytes) => append_bytes(key, bytes),
        Value::Int8(number) => append_bytes(key, &number.to_le_bytes()),
        Value::Int16(number) => append_bytes(key, &number.to_le_bytes()),
        Value::Int32(number) | Value::Date(number) | Value::Time(number) => {
            append_bytes(key, &number.to_le_bytes());
        }
        Value::Int64(number) | Value::Timestamp(number) => {
            append_bytes(key, &number.to_le_bytes());
        }
        other => append_bytes(key, format!("{other:?}").as_bytes()),
    }
}

fn append_bytes(key: &mut Vec<u8>, bytes: &[u8]) {
    key.extend_from_slice(&bytes.len().to_le_bytes());
    key.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;
    use crate::config::SinkConfig;
    use crate::sink::record::RowMapper;

    const PAIR: &str =
        r#"[{"type":"int64","field":"id"},{"type":"string","optional":true,"field":"name"}]"#;
    const WIDER: &str =
        r#"[{"type":"int64","field":"id"},{"type":"int32","optional":true,"field":"age"}]"#;

    /// Rows as `(fields, key, payload)` make them; without fields a tombstone.
    fn rows(records: &[(Option<&str>, i64, &str)]) -> Vec<Row> {
        let properties = [
            (
                "connector.class",
                "io.confluent.connect.jdbc.JdbcSinkConnector",
            ),
            ("topics", "t"),
            ("connection.url", "jdbc:sqlite::memory:"),
            ("insert.mode", "upsert"),
            ("pk.mode", "record_key"),
            ("pk.fields", "id"),
            ("delete.enabled", "true"),
        ];
        let properties: BTreeMap<_, _> = properties
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let mut mapper = RowMapper::new("N", &SinkConfig::parse(&properties).unwrap());
        let row = |(index, (fields, key, payload)): (usize, &(Option<&str>, i64, &str))| {
            let key = format!(r#"{{"schema":{{"type":"int64"}},"payload":{key}}}"#);
            let value = fields.map(|fields| {
                let schema = format!(r#"{{"type":"struct","fields":{fields}}}"#);
                format!(r#"{{"schema":{schema},"payload":{payload}}}"#).into_bytes()
            });
            let time = Timestamp::NotAvailable;
            let message =
                OwnedMessage::new(value, Some(key.into_bytes()), "t".into(), time, 0, 0, None);
            mapper.row(index, &message).unwrap().unwrap()
        };
        records.iter().enumerate().map(row).collect()
    }

    /// The records of each group, in order, with `-` for a group of deletes.
    fn plan(records: &[(Option<&str>, i64, &str)], upsert: bool) -> Vec<String> {
        let rows = rows(records);
        let describe = |group: Group<'_>| {
            let sign = if group.change == Change::Delete {
                "-"
            } else {
                ""
            };
            let records: Vec<_> = group
                .rows
                .iter()
                .map(|row| row.record.to_string())
                .collect();
            format!("{sign}{}", records.join(" "))
        };
        groups(&rows, upsert).into_iter().map(describe).collect()
    }

    #[test]
    fn of_the_rows_of_one_key_only_the_last_is_left() {
        let write = |id| (Some(PAIR), id, r#"{"id":0,"name":"a"}"#);
        assert_eq!(
            plan(&[write(1), write(2), write(1), write(3)], true),
            ["1 2 3"]
        );
        assert_eq!(plan(&[write(1), write(1)], false), ["0 1"]);
    }

    #[test]
    fn a_delete_and_a_write_of_one_key_do_not_meet() {
        let write = |id| (Some(PAIR), id, r#"{"id":0}"#);
        let delete = |id| (None, id, "");
        assert_eq!(plan(&[write(1), delete(1)], true), ["-1"]);
        assert_eq!(
            plan(&[write(1), delete(1), write(1), delete(2)], true),
            ["-1 3", "2"]
        );
        assert_eq!(plan(&[delete(1), write(1), delete(1)], true), ["-2"]);
        assert_eq!(
            plan(&[write(1), delete(1), write(1)], false),
            ["0", "-1", "2"]
        );
    }

    #[test]
    fn rows_of_different_columns_do_not_replace_each_other() {
        let pair = |id| (Some(PAIR), id, r#"{"id":0}"#);
        let wider = |id| (Some(WIDER), id, r#"{"id":0}"#);
        assert_eq!(
            plan(&[pair(1), pair(1), wider(1), pair(1)], true),
            ["1", "2", "3"]
        );
        let respaced = PAIR.replace(',', ", ");
        let same = (Some(respaced.as_str()), 2, r#"{"id":0}"#);
        assert_eq!(plan(&[pair(1), same, pair(3)], true), ["0 1 2"]);
    }
}
