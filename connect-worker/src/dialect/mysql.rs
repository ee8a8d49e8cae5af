use chrono::{Datelike, NaiveDate};
use sea_orm::{DbBackend, Statement};
use shared::connect_json::{Logical, Schema, Type, Value};

use super::values::{self, BindError};
use super::{Dialect, Quoting, TableName, TargetColumn};

/// MariaDB and MySQL.
#[derive(Debug)]
pub(super) struct MySql(pub(super) Quoting);

impl Dialect for MySql {
    fn backend(&self) -> DbBackend {
        DbBackend::MySql
    }

    fn quoting(&self) -> Quoting {
        self.0
    }

    fn quote_mark(&self) -> char {
        '`'
    }

    fn bind_limit(&self) -> usize {
        65_535
    }

    fn describe(&self, table: &TableName) -> Statement {
        // The casts: MySQL 8 hands out binary strings here.
        let sql = "SELECT CAST(c.column_name AS CHAR) AS name, CAST(c.data_type AS CHAR) AS type, \
             CAST(IF(t.table_type LIKE '%VIEW', 'VIEW', 'TABLE') AS CHAR) AS kind \
             FROM information_schema.columns c JOIN information_schema.tables t \
             ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
             WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name = ? \
             ORDER BY c.ordinal_position";
        let values = [table.schema.clone().into(), table.name.clone().into()];
        Statement::from_sql_and_values(DbBackend::MySql, sql, values)
    }

    fn column_type(&self, schema: &Schema, is_key: bool) -> Option<String> {
        let name = match (schema.logical, &schema.kind) {
            (Some(Logical::Decimal { scale }), _) => {
                return Some(format!("decimal(65,{})", scale.unwrap_or(0)));
            }
            (Some(Logical::Date), _) => "date",
            (Some(Logical::Time), _) => "time(3)",
            // Text, or finer than milliseconds.
            (Some(Logical::Timestamp), Type::String) => "datetime(6)",
            (Some(Logical::Timestamp), _) => "datetime(3)",
            (None, Type::Int8 | Type::Boolean) => "tinyint",
            (None, Type::Int16) => "smallint",
            (None, Type::Int32) => "int",
            (None, Type::Int64) => "bigint",
            (None, Type::Float32) => "float",
            (None, Type::Float64) => "double",
            // A text column cannot be a key without a length.
            (None, Type::String) if is_key => "varchar(255)",
            (None, Type::String) => "text",
            (None, Type::Bytes) => "varbinary(1024)",
            (None, Type::Array(_) | Type::Map { .. } | Type::Struct(_)) => return None,
        };
        Some(name.to_owned())
    }

    fn literal(&self, value: &Value) -> Option<String> {
        match value {
            Value::Bool(value) => Some(u8::from(*value).to_string()),
            Value::Bytes(bytes) => Some(format!("x'{}'", values::hex(bytes))),
            Value::String(text) => values::literal(&Value::String(text.replace('\\', "\\\\"))),
            other => values::literal(other),
        }
    }

    fn placeholder(&self, sql: &mut String, _: usize, _: &TargetColumn) {
        sql.push('?');
    }

    fn on_conflict(&self, keys: &[String], others: &[String]) -> String {
        let names = if others.is_empty() { keys } else { others };
        let updates: Vec<_> = names
            .iter()
            .map(|name| format!("{name} = VALUES({name})"))
            .collect();
        format!(" ON DUPLICATE KEY UPDATE {}", updates.join(", "))
    }

    fn bind(&self, value: &Value, column: &TargetColumn) -> Result<sea_orm::Value, BindError> {
        match value {
            Value::Null => Ok(values::bind(&values::sample(&column.schema))?.as_null()),
            Value::Date(days) => Ok(in_range(values::date(*days)?, *days)?.into()),
            Value::Timestamp(millis) => {
                let time = values::timestamp(*millis)?;
                in_range(time.date(), *millis)?;
                Ok(time.into())
            }
            value => values::bind(value),
        }
    }
}

/// The driver has no way to write other years, and the database no room for them.
fn in_range(date: NaiveDate, value: impl Into<i64>) -> Result<NaiveDate, BindError> {
    match date.year() {
        0..=9_999 => Ok(date),
        _ => Err(BindError::OutOfRange(value.into())),
    }
}
