//! What differs between the databases, and the statements built from it.

mod mysql;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;
use std::fmt::Write as _;

use sea_orm::{DbBackend, Statement};
use shared::connect_json::{Schema, Value};

pub use values::BindError;

/// A table as its configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    pub schema: Option<String>,
    pub name: String,
}

/// A column that a statement writes.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetColumn {
    pub name: String,
    /// The database's own name of its type; decides how a value is bound.
    pub db_type: String,
    pub schema: Schema,
    pub is_key: bool,
}

/// A table, and the columns of it that statements write.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub table: TableName,
    pub columns: Vec<TargetColumn>,
}

/// Whether identifiers are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    Always,
    /// Only those that would not be read as one name, so that no field's name can smuggle
    /// SQL in.
    Never,
}

pub trait Dialect: fmt::Debug + Send + Sync {
    fn backend(&self) -> DbBackend;

    fn quoting(&self) -> Quoting;

    /// The character around identifiers, doubled inside them.
    fn quote_mark(&self) -> char;

    /// Values that one statement can bind.
    fn bind_limit(&self) -> usize;

    /// A query for the columns (`name`, `type`) of a table, none if there is no such table;
    /// `kind` is TABLE or VIEW.
    fn describe(&self, table: &TableName) -> Statement;

    /// The column type for a new column; `None` where no type fits.
    fn column_type(&self, schema: &Schema, is_key: bool) -> Option<String>;

    /// A literal for a column's `DEFAULT`; `None` where there is no way to write one.
    fn literal(&self, value: &Value) -> Option<String>;

    /// A placeholder for the `index`th value, from 1, cast to the column's type where the
    /// database would not do it by itself.
    fn placeholder(&self, sql: &mut String, index: usize, column: &TargetColumn);

    /// What follows the rows of an upsert. Names come quoted.
    fn on_conflict(&self, keys: &[String], others: &[String]) -> String;

    /// A value as the driver takes it for this column.
    fn bind(&self, value: &Value, column: &TargetColumn) -> Result<sea_orm::Value, BindError>;
}

pub fn for_backend(backend: DbBackend) -> &'static dyn Dialect {
    of(backend, Quoting::Always)
}

pub fn of(backend: DbBackend, quoting: Quoting) -> &'static dyn Dialect {
    const ALWAYS: Quoting = Quoting::Always;
    const NEVER: Quoting = Quoting::Never;
    match (backend, quoting) {
        (DbBackend::Postgres, ALWAYS) => &postgres::Postgres(ALWAYS),
        (DbBackend::Postgres, NEVER) => &postgres::Postgres(NEVER),
        (DbBackend::Sqlite, ALWAYS) => &sqlite::Sqlite(ALWAYS),
        (DbBackend::Sqlite, NEVER) => &sqlite::Sqlite(NEVER),
        (_, ALWAYS) => &mysql::MySql(ALWAYS),
        (_, NEVER) => &mysql::MySql(NEVER),
    }
}

fn is_plain(identifier: &str) -> bool {
    let mut bytes = identifier.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

impl dyn Dialect {
    pub fn quote(&self, identifier: &str) -> String {
        if self.quoting() == Quoting::Never && is_plain(identifier) {
            return identifier.to_owned();
        }
        let mark = self.quote_mark();
        let doubled = identifier.replace(mark, &format!("{mark}{mark}"));
        format!("{mark}{doubled}{mark}")
    }

    pub fn quote_table(&self, table: &TableName) -> String {
        let name = self.quote(&table.name);
        match &table.schema {
            Some(schema) => format!("{}.{name}", self.quote(schema)),
            None => name,
        }
    }

    /// `db_type` of the columns is what they are created with. Another task may be faster:
    /// an existing table is left as it is.
    pub fn create_table(&self, target: &Target) -> Statement {
        let mut parts: Vec<_> = target
            .columns
            .iter()
            .map(|column| self.definition(column))
            .collect();
        let keys = self.quoted(target, true);
        if !keys.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", keys.join(", ")));
        }
        let table = self.quote_table(&target.table);
        self.statement(format!(
            "CREATE TABLE IF NOT EXISTS {table} ({})",
            parts.join(", ")
        ))
    }

    pub fn add_column(&self, table: &TableName, column: &TargetColumn) -> Statement {
        let table = self.quote_table(table);
        self.statement(format!(
            "ALTER TABLE {table} ADD COLUMN {}",
            self.definition(column)
        ))
    }

    /// An insert of so many rows; where `upsert`, rows with an existing key are updated.
    pub fn insert(&self, target: &Target, rows: usize, upsert: bool) -> String {
        let names: Vec<_> = target
            .columns
            .iter()
            .map(|column| self.quote(&column.name))
            .collect();
        let mut sql = format!(
            "INSERT INTO {} ({}) VALUES ",
            self.quote_table(&target.table),
            names.join(", ")
        );
        let mut index = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            self.placeholders(&mut sql, target.columns.iter(), &mut index);
            sql.push(')');
        }
        if upsert {
            sql.push_str(
                &self.on_conflict(&self.quoted(target, true), &self.quoted(target, false)),
            );
        }
        sql
    }

    /// An update of one row. It binds the other columns first, then the key columns.
    pub fn update(&self, target: &Target) -> String {
        let mut index = 0;
        let mut assign = |is_key: bool, separator: &str| {
            let columns = target
                .columns
                .iter()
                .filter(|column| column.is_key == is_key);
            let assigned: Vec<_> = columns
                .map(|column| {
                    let mut text = format!("{} = ", self.quote(&column.name));
                    index += 1;
                    self.placeholder(&mut text, index, column);
                    text
                })
                .collect();
            assigned.join(separator)
        };
        let others = assign(false, ", ");
        let keys = assign(true, " AND ");
        let table = self.quote_table(&target.table);
        format!("UPDATE {table} SET {others} WHERE {keys}")
    }

    /// A delete of so many keys; all columns of the target are key columns.
    pub fn delete(&self, target: &Target, keys: usize) -> String {
        let names: Vec<_> = target
            .columns
            .iter()
            .map(|column| self.quote(&column.name))
            .collect();
        let mut sql = format!("DELETE FROM {} WHERE ", self.quote_table(&target.table));
        let mut index = 0;
        if let ([column], [name]) = (&target.columns[..], &names[..]) {
            sql.push_str(name);
            sql.push_str(" IN (");
            self.placeholders(&mut sql, std::iter::repeat_n(column, keys), &mut index);
            sql.push(')');
            return sql;
        }
        for key in 0..keys {
            sql.push_str(if key == 0 { "(" } else { " OR (" });
            for (column, name) in target.columns.iter().zip(&names) {
                sql.push_str(if column.name == target.columns[0].name {
                    ""
                } else {
                    " AND "
                });
                sql.push_str(name);
                sql.push_str(" = ");
                self.placeholders(&mut sql, std::iter::once(column), &mut index);
            }
            sql.push(')');
        }
        sql
    }

    fn placeholders<'c>(
        &self,
        sql: &mut String,
        columns: impl Iterator<Item = &'c TargetColumn>,
        index: &mut usize,
    ) {
        for (n, column) in columns.enumerate() {
            if n > 0 {
                sql.push_str(", ");
            }
            *index += 1;
            self.placeholder(sql, *index, column);
        }
    }

    fn definition(&self, column: &TargetColumn) -> String {
        let mut text = format!("{} {}", self.quote(&column.name), column.db_type);
        let default = column
            .schema
            .default
            .as_ref()
            .and_then(|value| self.literal(value));
        if let Some(literal) = default {
            // Writing to a string cannot fail.
            write!(text, " DEFAULT {literal}").unwrap_or_default();
        }
        if column.is_key || !column.schema.optional {
            text.push_str(" NOT NULL");
        } else {
            text.push_str(" NULL");
        }
        text
    }

    fn quoted(&self, target: &Target, keys: bool) -> Vec<String> {
        let columns = target.columns.iter().filter(|column| column.is_key == keys);
        columns.map(|column| self.quote(&column.name)).collect()
    }

    fn statement(&self, sql: String) -> Statement {
        Statement::from_string(self.backend(), sql)
    }
}

/// `ON CONFLICT`, which PostgreSQL and SQLite share.
fn on_conflict_update(keys: &[String], others: &[String]) -> String {
    let keys = keys.join(", ");
    if others.is_empty() {
        return format!(" ON CONFLICT ({keys}) DO NOTHING");
    }
    let updates: Vec<_> = others
        .iter()
        .map(|name| format!("{name} = EXCLUDED.{name}"))
        .collect();
    format!(" ON CONFLICT ({keys}) DO UPDATE SET {}", updates.join(", "))
}
