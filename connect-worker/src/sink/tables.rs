//! What the database knows of the tables, asked once per table, and how tables come to be.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use shared::connect_json::Schema;

use super::bind::wall_clock;
use super::error::WriteError;
use super::layout::{Column, Layout};
use super::record::{Change, Row};
use crate::config::{InsertMode, OnTombstone, TableRules};
use crate::dialect::{Dialect, Quoting, TableName, Target, TargetColumn};

#[derive(Debug)]
pub(super) struct Tables {
    rules: TableRules,
    dialect: &'static dyn Dialect,
    known: HashMap<TableName, Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Name and type of each column; none if there is no such table.
    columns: Vec<(String, String)>,
    is_view: bool,
    targets: Vec<(Arc<Layout>, Arc<Target>)>,
}

impl Tables {
    pub(super) fn new(rules: TableRules, dialect: &'static dyn Dialect) -> Self {
        Self {
            rules,
            dialect,
            known: HashMap::new(),
        }
    }

    /// After an error that a change of a table may explain.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// The statement's target for a row's table and layout. `None` where there is nothing
    /// to delete from.
    pub(super) fn target(&self, row: &Row) -> Option<Arc<Target>> {
        let targets = &self.known.get(&*row.table)?.targets;
        let found = targets
            .iter()
            .find(|(layout, _)| Arc::ptr_eq(layout, &row.layout));
        found.map(|(_, target)| Arc::clone(target))
    }

    /// Makes the row's target known: looks at the table, creates or alters it if the rules
    /// say so.
    pub(super) async fn prepare(
        &mut self,
        db: &DatabaseConnection,
        row: &Row,
    ) -> Result<(), WriteError> {
        if self.target(row).is_some() {
            return Ok(());
        }
        let name = &*row.table;
        if !self.known.contains_key(name) {
            let table = describe(db, self.dialect, name).await?;
            self.known.insert(name.clone(), table);
        }
        self.check_kind(name)?;
        let missing_table = self
            .known
            .get(name)
            .is_none_or(|table| table.columns.is_empty());
        if missing_table && row.change == Change::Delete {
            self.known.remove(name);
            return Ok(());
        }
        let changed = if missing_table {
            self.create(db, row).await?;
            true
        } else {
            self.evolve(db, row).await?
        };
        if changed {
            let table = describe(db, self.dialect, name).await?;
            self.known.insert(name.clone(), table);
        }
        self.check_key(row)?;
        self.add_target(row)
    }

    async fn create(&self, db: &DatabaseConnection, row: &Row) -> Result<(), WriteError> {
        if !self.rules.create {
            return Err(WriteError::Table(match self.rules.on_tombstone {
                OnTombstone::Skip => format!("Could not find table: {}", row.table),
                OnTombstone::Refuse => {
                    let table = self.dialect.quote_table(&row.table);
                    format!("Table {table} is missing and auto-creation is disabled")
                }
            }));
        }
        let columns = row
            .layout
            .columns
            .iter()
            .map(|column| self.new_column(column));
        let columns = columns.collect::<Result<_, _>>()?;
        let target = Target {
            table: (*row.table).clone(),
            columns,
        };
        let created = db.execute_raw(self.dialect.create_table(&target)).await;
        created.map_err(WriteError::of_change)?;
        tracing::info!(table = %row.table, "table created");
        Ok(())
    }

    /// Adds the columns that the table lacks; whether there were any.
    async fn evolve(&self, db: &DatabaseConnection, row: &Row) -> Result<bool, WriteError> {
        let Some(table) = self.known.get(&*row.table) else {
            return Ok(false);
        };
        let columns = &row.layout.columns;
        let missing: Vec<_> = columns
            .iter()
            .filter(|column| self.find(table, &column.name).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(false);
        }
        if table.is_view {
            let text = self.missing_fields(&row.table, &missing);
            return Err(WriteError::Table(format!(
                "{text} and a view cannot be altered"
            )));
        }
        if !self.rules.evolve {
            let text = self.missing_fields(&row.table, &missing);
            return Err(WriteError::Table(format!(
                "{text} and auto-evolution is disabled"
            )));
        }
        for column in &missing {
            if !column.schema.optional && column.schema.default.is_none() {
                return Err(WriteError::Table(format!(
                    "Cannot ALTER table '{}' because field '{}' is not optional but has no \
                     default value",
                    row.table, column.name
                )));
            }
        }
        for column in missing {
            let column = self.new_column(column)?;
            let sql = self.dialect.add_column(&row.table, &column);
            let added = db.execute_raw(sql).await;
            added.map_err(WriteError::of_change)?;
            tracing::info!(table = %row.table, column = column.name, "column added");
        }
        Ok(true)
    }

    fn missing_fields(&self, table: &TableName, missing: &[&Column]) -> String {
        let describe = |column: &&Column| {
            format!(
                "SinkRecordField{{schema=Schema{{{}}}, name='{}', isPrimaryKey={}}}",
                column.schema.kind.name(),
                column.name,
                column.is_key
            )
        };
        let fields: Vec<_> = missing.iter().map(describe).collect();
        format!(
            "Table {} is missing fields ([{}])",
            self.dialect.quote_table(table),
            fields.join(", ")
        )
    }

    fn check_kind(&self, name: &TableName) -> Result<(), WriteError> {
        let Some(table) = self
            .known
            .get(name)
            .filter(|table| !table.columns.is_empty())
        else {
            return Ok(());
        };
        let (kind, allowed) = match table.is_view {
            true => ("VIEW", self.rules.kinds.views),
            false => ("TABLE", self.rules.kinds.tables),
        };
        if allowed {
            return Ok(());
        }
        let name = self.dialect.quote_table(name);
        Err(WriteError::Table(format!(
            "{name} is a {kind}, which table.types does not name"
        )))
    }

    fn check_key(&self, row: &Row) -> Result<(), WriteError> {
        let mode = match self.rules.insert_mode {
            InsertMode::Insert => return Ok(()),
            InsertMode::Upsert => "UPSERT",
            // Without a key every row would be updated.
            InsertMode::Update => "UPDATE",
        };
        if !row.layout.has_key() {
            return Err(WriteError::Table(format!(
                "Write to table '{}' in {mode} mode requires key field names to be known, check \
                 the primary key configuration",
                self.dialect.quote_table(&row.table)
            )));
        }
        Ok(())
    }

    fn add_target(&mut self, row: &Row) -> Result<(), WriteError> {
        let Some(table) = self.known.get(&*row.table) else {
            return Ok(());
        };
        let mut columns = Vec::with_capacity(row.layout.columns.len());
        for column in &row.layout.columns {
            let Some((name, db_type)) = self.find(table, &column.name) else {
                // Dropped between our change and our look: have another look.
                let text = format!("Table {} has lost its column {}", row.table, column.name);
                return Err(WriteError::Table(text));
            };
            columns.push(TargetColumn {
                name: name.clone(),
                db_type: db_type.clone(),
                schema: column.schema.clone(),
                is_key: column.is_key,
            });
        }
        let target = Arc::new(Target {
            table: (*row.table).clone(),
            columns,
        });
        if let Some(table) = self.known.get_mut(&*row.table) {
            let in_use = |(layout, _): &(Arc<Layout>, _)| Arc::strong_count(layout) > 1;
            table.targets.retain(in_use);
            table.targets.push((Arc::clone(&row.layout), target));
        }
        Ok(())
    }

    /// By exact name, else regardless of case where the database does not care.
    fn find<'t>(&self, table: &'t Table, name: &str) -> Option<&'t (String, String)> {
        let exact = table.columns.iter().find(|(column, _)| column == name);
        exact.or_else(|| {
            let cares = self.dialect.backend() == sea_orm::DatabaseBackend::Postgres
                && self.dialect.quoting() == Quoting::Always;
            let mut columns = table.columns.iter().filter(|_| !cares);
            columns.find(|(column, _)| column.eq_ignore_ascii_case(name))
        })
    }

    fn new_column(&self, column: &Column) -> Result<TargetColumn, WriteError> {
        let schema = &column.schema;
        let db_type = self
            .dialect
            .column_type(schema, column.is_key)
            .ok_or_else(|| {
                let name = schema.name.as_deref().unwrap_or("null");
                let kind = schema.kind.name();
                WriteError::Table(format!(
                    "{name} ({kind}) type doesn't have a mapping to the SQL database column type"
                ))
            })?;
        Ok(TargetColumn {
            name: column.name.clone(),
            db_type,
            schema: self.with_local_default(schema),
            is_key: column.is_key,
        })
    }

    /// A column's default is the value that a row without it would have got.
    fn with_local_default(&self, schema: &Schema) -> Schema {
        let mut schema = schema.clone();
        if self.dialect.backend() != sea_orm::DatabaseBackend::Sqlite
            && let Some(default) = &schema.default
            && let Some(local) = wall_clock(default, &self.rules.zones)
        {
            schema.default = Some(local);
        }
        schema
    }
}

async fn describe(
    db: &DatabaseConnection,
    dialect: &'static dyn Dialect,
    name: &TableName,
) -> Result<Table, WriteError> {
    let rows = db.query_all_raw(dialect.describe(name)).await?;
    let mut table = Table::default();
    for row in rows {
        table.is_view = row.try_get::<String>("", "kind")? == "VIEW";
        let column = (row.try_get("", "name")?, row.try_get("", "type")?);
        table.columns.push(column);
    }
    Ok(table)
}
