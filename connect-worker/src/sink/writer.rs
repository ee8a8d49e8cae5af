use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement,
    TransactionTrait,
};
use shared::connect_json::Value;
use shared::database::rows_at_once;

use super::bind::Binder;
use super::error::WriteError;
use super::plan::{self, Group};
use super::record::{Change, Row};
use super::tables::Tables;
use crate::config::{InsertMode, TableRules};
use crate::dialect::{self, Dialect, Target};

/// Keys in one `DELETE`: each adds a term to its condition, and SQLite's nest.
const KEYS_PER_DELETE: usize = 256;

/// Room for a packet's header and the types of its values.
const PACKET_MARGIN: usize = 256 * 1024;
/// A little less than the gibibyte that PostgreSQL and SQLite have room for.
const LARGEST_MESSAGE: usize = 1_000_000_000;
/// A statement of more than one row takes at most so much memory.
const USUAL_STATEMENT: usize = 4 * 1024 * 1024;
const LENGTH_PREFIX: usize = 9;

/// Writes rows, all of them or none.
#[derive(Debug)]
pub(super) struct Writer {
    db: DatabaseConnection,
    dialect: &'static dyn Dialect,
    tables: Tables,
    binder: Binder,
    mode: InsertMode,
    batch_size: usize,
    /// Bytes that one statement can bind, once the database has told.
    largest_statement: Option<usize>,
}

/// How far the attempts to write a batch have come: no row is written twice.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows, from the first, that are written or refused.
    settled: usize,
    pub(super) refused: Vec<Refused>,
}

/// A row that the database refuses, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) record: usize,
    pub(super) reason: String,
}

impl Writer {
    pub(super) fn new(db: DatabaseConnection, rules: &TableRules) -> Self {
        let dialect = dialect::of(db.get_database_backend(), rules.quoting);
        Self {
            db,
            dialect,
            tables: Tables::new(rules.clone(), dialect),
            binder: Binder::new(rules, dialect),
            mode: rules.insert_mode,
            batch_size: rules.batch_size.max(1),
            largest_statement: None,
        }
    }

    /// One transaction. After an error nothing is written, but tables that were missing may
    /// have been created.
    pub(super) async fn write(&mut self, rows: &[Row]) -> Result<(), WriteError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut written = self.try_write(rows, self.batch_size).await;
        if let Err(WriteError::KeyTwice(_)) = written {
            written = self.try_write(rows, 1).await;
        }
        if !matches!(written, Ok(()) | Err(WriteError::Data(_))) {
            self.tables.forget();
        }
        written
    }

    /// As [`Self::write`], but nothing stays written.
    pub(super) async fn rehearse(&mut self, rows: &[Row]) -> Result<(), WriteError> {
        let transaction = self.begin_with(rows, self.batch_size).await?;
        Ok(transaction.rollback().await?)
    }

    async fn try_write(&mut self, rows: &[Row], most: usize) -> Result<(), WriteError> {
        let transaction = self.begin_with(rows, most).await?;
        Ok(transaction.commit().await?)
    }

    /// A transaction that has written the rows, `most` of them per statement.
    async fn begin_with(
        &mut self,
        rows: &[Row],
        most: usize,
    ) -> Result<DatabaseTransaction, WriteError> {
        let groups = plan::groups(rows, self.mode == InsertMode::Upsert);
        // Outside the transaction: a change of a table would commit it on MariaDB.
        for row in groups.iter().filter_map(|group| group.rows.first()) {
            self.tables.prepare(&self.db, row).await?;
        }
        let bytes = self.statement_bytes().await?;
        let transaction = self.db.begin().await?;
        for group in &groups {
            self.write_group(&transaction, group, Limits { rows: most, bytes })
                .await?;
        }
        Ok(transaction)
    }

    /// Writes all but the rows that can never be written, which it finds by halving: as many
    /// transactions as it takes, in the order of the rows. After an error it goes on from where
    /// it was.
    pub(super) async fn write_around_bad_rows(
        &mut self,
        rows: &[Row],
        progress: &mut Progress,
    ) -> Result<(), WriteError> {
        let mut parts = vec![&rows[progress.settled..]];
        while let Some(part) = parts.pop() {
            match (self.write(part).await, part) {
                (Ok(()), _) => progress.settled += part.len(),
                (Err(WriteError::Data(reason)), [row]) => {
                    progress.settled += 1;
                    progress.refused.push(Refused {
                        record: row.record,
                        reason,
                    });
                }
                (Err(WriteError::Data(_)), _) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }

    async fn statement_bytes(&mut self) -> Result<usize, WriteError> {
        if let Some(bytes) = self.largest_statement {
            return Ok(bytes);
        }
        let bytes = largest_packet(&self.db)
            .await?
            .saturating_sub(PACKET_MARGIN);
        self.largest_statement = Some(bytes);
        Ok(bytes)
    }

    async fn write_group(
        &self,
        transaction: &DatabaseTransaction,
        group: &Group<'_>,
        limits: Limits,
    ) -> Result<(), WriteError> {
        let target = group.rows.first().and_then(|row| self.tables.target(row));
        let Some(target) = target else { return Ok(()) };
        let fit = (self.dialect.bind_limit() / target.columns.len())
            .min(limits.rows)
            .max(1);
        let limit = match (group.change, self.mode) {
            (Change::Write, InsertMode::Update) => 1,
            (Change::Write, _) => fit,
            (Change::Delete, _) => fit.min(KEYS_PER_DELETE),
        };
        let mut rows = &group.rows[..];
        while !rows.is_empty() {
            let fit = limit.min(rows_within(rows, limits.bytes)?);
            let (now, later) = rows.split_at(rows_at_once(rows.len(), fit));
            if let Some(statement) = self.statement(group.change, &target, now)? {
                transaction.execute_raw(statement).await?;
            }
            rows = later;
        }
        Ok(())
    }

    /// `None` for an update that would set nothing.
    fn statement(
        &self,
        change: Change,
        target: &Target,
        rows: &[&Row],
    ) -> Result<Option<Statement>, WriteError> {
        let update = change == Change::Write && self.mode == InsertMode::Update;
        if update && target.columns.iter().all(|column| column.is_key) {
            return Ok(None);
        }
        let sql = match (change, self.mode) {
            (Change::Write, InsertMode::Update) => self.dialect.update(target),
            (Change::Write, mode) => {
                let upsert = mode == InsertMode::Upsert;
                self.dialect.insert(target, rows.len(), upsert)
            }
            (Change::Delete, _) => self.dialect.delete(target, rows.len()),
        };
        let mut values = Vec::with_capacity(rows.len() * target.columns.len());
        let mut columns: Vec<_> = target.columns.iter().enumerate().collect();
        if update {
            columns.sort_by_key(|(_, column)| column.is_key);
        }
        for row in rows {
            for &(index, column) in &columns {
                values.push(self.binder.bind(&row.values[index], column)?);
            }
        }
        let backend = self.dialect.backend();
        Ok(Some(Statement::from_sql_and_values(backend, sql, values)))
    }

    pub(super) fn reconnect(&mut self, db: DatabaseConnection) {
        self.db = db;
        self.tables.forget();
    }

    /// Whether the database answers.
    pub(super) async fn ping(&self) -> Result<(), sea_orm::DbErr> {
        self.db.ping().await
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    rows: usize,
    bytes: usize,
}

/// What one statement can carry: more than MariaDB's `max_allowed_packet` ends the
/// connection, often before it can say why.
async fn largest_packet(db: &DatabaseConnection) -> Result<usize, sea_orm::DbErr> {
    let backend = db.get_database_backend();
    if backend != DbBackend::MySql {
        return Ok(LARGEST_MESSAGE);
    }
    let sql = "SELECT CAST(@@max_allowed_packet AS SIGNED) AS bytes";
    let row = db
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    let bytes: i64 = match row {
        Some(row) => row.try_get("", "bytes")?,
        None => return Ok(LARGEST_MESSAGE),
    };
    Ok(usize::try_from(bytes).unwrap_or(LARGEST_MESSAGE))
}

/// How many of the rows, from the first, one statement can carry.
fn rows_within(rows: &[&Row], bytes: usize) -> Result<usize, WriteError> {
    let mut sum = 0;
    for (index, row) in rows.iter().enumerate() {
        let size: usize = row.values.iter().map(value_bytes).sum();
        if size > bytes {
            if index > 0 {
                return Ok(index);
            }
            return Err(WriteError::Data(format!(
                "a row of {size} bytes is larger than the {bytes} bytes that the database takes \
                 at once"
            )));
        }
        sum += size;
        if sum > bytes.min(USUAL_STATEMENT) {
            return Ok(index.max(1));
        }
    }
    Ok(rows.len())
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) | Value::Decimal(text) => text.len() + LENGTH_PREFIX,
        Value::Bytes(bytes) => bytes.len() + LENGTH_PREFIX,
        _ => 16,
    }
}
