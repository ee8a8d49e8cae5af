use sea_orm::{DbBackend, Statement};
use shared::connect_json::{Logical, Schema, Type, Value};

use super::values::{self, BindError};
use super::{Dialect, Quoting, TableName, TargetColumn, on_conflict_update};

/// Dates and times are ISO 8601 text, readable and in order; Confluent's sink writes
/// integers.
#[derive(Debug)]
pub(super) struct Sqlite(pub(super) Quoting);

impl Dialect for Sqlite {
    fn backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    fn quoting(&self) -> Quoting {
        self.0
    }

    fn quote_mark(&self) -> char {
        '"'
    }

    fn bind_limit(&self) -> usize {
        32_766
    }

    fn describe(&self, table: &TableName) -> Statement {
        let sql = "SELECT c.name, c.type, upper(t.type) AS kind \
             FROM pragma_table_list(?) t JOIN pragma_table_info(?, COALESCE(?, 'main')) c \
             WHERE t.schema = COALESCE(?, 'main')";
        let (name, schema) = (&table.name, &table.schema);
        let values = [
            name.clone().into(),
            name.clone().into(),
            schema.clone().into(),
            schema.clone().into(),
        ];
        Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
    }

    fn column_type(&self, schema: &Schema, _: bool) -> Option<String> {
        let name = match (schema.logical, &schema.kind) {
            (Some(Logical::Decimal { .. }), _) => "NUMERIC",
            (Some(Logical::Date | Logical::Time | Logical::Timestamp), _) => "TEXT",
            (None, Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 | Type::Boolean) => {
                "INTEGER"
            }
            (None, Type::Float32 | Type::Float64) => "REAL",
            (None, Type::String) => "TEXT",
            (None, Type::Bytes) => "BLOB",
            (None, Type::Array(_) | Type::Map { .. } | Type::Struct(_)) => return None,
        };
        Some(name.to_owned())
    }

    fn literal(&self, value: &Value) -> Option<String> {
        match value {
            Value::Bool(value) => Some(u8::from(*value).to_string()),
            Value::Bytes(bytes) => Some(format!("x'{}'", values::hex(bytes))),
            Value::Timestamp(_) => text(value).ok().flatten().map(|text| format!("'{text}'")),
            other => values::literal(other),
        }
    }

    fn placeholder(&self, sql: &mut String, _: usize, _: &TargetColumn) {
        sql.push('?');
    }

    fn on_conflict(&self, keys: &[String], others: &[String]) -> String {
        on_conflict_update(keys, others)
    }

    fn bind(&self, value: &Value, _: &TargetColumn) -> Result<sea_orm::Value, BindError> {
        match text(value)? {
            Some(text) => Ok(text.into()),
            None => values::bind(value),
        }
    }
}

fn text(value: &Value) -> Result<Option<String>, BindError> {
    Ok(match value {
        Value::Date(days) => Some(values::date(*days)?.format("%Y-%m-%d").to_string()),
        Value::Time(millis) => Some(values::time(*millis)?.format("%H:%M:%S%.3f").to_string()),
        Value::Timestamp(millis) => {
            let time = values::timestamp(*millis)?;
            Some(time.format("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string())
        }
        _ => None,
    })
}
