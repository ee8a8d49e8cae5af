use std::fmt::Write as _;

use sea_orm::{DbBackend, Statement};
use shared::connect_json::{Logical, Schema, Type, Value};

use super::values::{self, BindError};
use super::{Dialect, Quoting, TableName, TargetColumn, on_conflict_update};

#[derive(Debug)]
pub(super) struct Postgres(pub(super) Quoting);

impl Dialect for Postgres {
    fn backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    fn quoting(&self) -> Quoting {
        self.0
    }

    fn quote_mark(&self) -> char {
        '"'
    }

    fn bind_limit(&self) -> usize {
        65_535
    }

    /// `to_regclass` follows the search path, as the statements that write will.
    fn describe(&self, table: &TableName) -> Statement {
        let sql = "SELECT a.attname::text AS name, t.typname::text AS type, \
             CASE WHEN c.relkind IN ('v', 'm') THEN 'VIEW' ELSE 'TABLE' END AS kind \
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             JOIN pg_class c ON c.oid = a.attrelid \
             WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
             ORDER BY a.attnum";
        let dialect: &dyn Dialect = self;
        let name = dialect.quote_table(table);
        Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()])
    }

    fn column_type(&self, schema: &Schema, _: bool) -> Option<String> {
        let name = match (schema.logical, &schema.kind) {
            (Some(Logical::Decimal { .. }), _) => "numeric",
            (Some(Logical::Date), _) => "date",
            (Some(Logical::Time), _) => "time",
            (Some(Logical::Timestamp), _) => "timestamp",
            (None, Type::Int8 | Type::Int16) => "smallint",
            (None, Type::Int32) => "integer",
            (None, Type::Int64) => "bigint",
            (None, Type::Float32) => "real",
            (None, Type::Float64) => "double precision",
            (None, Type::Boolean) => "boolean",
            (None, Type::String) => "text",
            (None, Type::Bytes) => "bytea",
            (None, Type::Array(_) | Type::Map { .. } | Type::Struct(_)) => return None,
        };
        Some(name.to_owned())
    }

    fn literal(&self, value: &Value) -> Option<String> {
        match value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Bytes(bytes) => Some(format!("'\\x{}'", values::hex(bytes))),
            other => values::literal(other),
        }
    }

    fn placeholder(&self, sql: &mut String, index: usize, column: &TargetColumn) {
        // Writing to a string cannot fail.
        write!(sql, "${index}").unwrap_or_default();
        let is_decimal = matches!(column.schema.logical, Some(Logical::Decimal { .. }));
        match column.db_type.as_str() {
            // Bound as text, which is not assigned to these types without a cast.
            _ if is_decimal => sql.push_str("::numeric"),
            name @ ("uuid" | "json" | "jsonb") if column.schema.kind == Type::String => {
                sql.push_str("::");
                sql.push_str(name);
            }
            _ => {}
        }
    }

    fn on_conflict(&self, keys: &[String], others: &[String]) -> String {
        on_conflict_update(keys, others)
    }

    fn bind(&self, value: &Value, column: &TargetColumn) -> Result<sea_orm::Value, BindError> {
        match value {
            Value::Null => {
                let sample = values::sample(&column.schema);
                Ok(self.bind(&sample, column)?.as_null())
            }
            // The driver's i8 is PostgreSQL's "char".
            Value::Int8(value) => Ok(i16::from(*value).into()),
            // A timestamp without zone would be taken in the session's zone.
            Value::Timestamp(millis) if column.db_type == "timestamptz" => {
                Ok(values::timestamp(*millis)?.and_utc().into())
            }
            value => values::bind(value),
        }
    }
}
