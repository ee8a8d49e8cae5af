use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait,
};

use super::error::WriteError;
use super::plan::{self, Group};
use super::record::{Change, Row};
use super::tables::Tables;
use crate::config::{InsertMode, TableRules};
use crate::dialect::{self, Dialect, Target};

/// Keys in one `DELETE`: each adds a term to its condition, and SQLite's nest.
const KEYS_PER_DELETE: usize = 256;

/// Writes rows, all of them or none.
#[derive(Debug)]
pub(super) struct Writer {
    db: DatabaseConnection,
    dialect: &'static dyn Dialect,
    tables: Tables,
    upsert: bool,
    batch_size: usize,
}

/// A row that the database refuses, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) record: usize,
    pub(super) reason: String,
}

impl Writer {
    pub(super) fn new(db: DatabaseConnection, rules: &TableRules) -> Self {
        let dialect = dialect::for_backend(db.get_database_backend());
        Self {
            db,
            dialect,
            tables: Tables::new(rules.clone(), dialect),
            upsert: rules.insert_mode == InsertMode::Upsert,
            batch_size: rules.batch_size.max(1),
        }
    }

    /// One transaction. After an error nothing is written, but tables that were missing may
    /// have been created.
    pub(super) async fn write(&mut self, rows: &[Row]) -> Result<(), WriteError> {
        let written = self.try_write(rows).await;
        if !matches!(written, Ok(()) | Err(WriteError::Data(_))) {
            self.tables.forget();
        }
        written
    }

    async fn try_write(&mut self, rows: &[Row]) -> Result<(), WriteError> {
        let groups = plan::groups(rows, self.upsert);
        // Outside the transaction: a change of a table would commit it on MariaDB.
        for row in groups.iter().filter_map(|group| group.rows.first()) {
            self.tables.prepare(&self.db, row).await?;
        }
        let transaction = self.db.begin().await?;
        for group in &groups {
            self.write_group(&transaction, group).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Writes all but the rows that can never be written, which it finds by halving: as many
    /// transactions as it takes, in the order of the rows.
    pub(super) async fn write_around_bad_rows(
        &mut self,
        rows: &[Row],
    ) -> Result<Vec<Refused>, WriteError> {
        let mut refused = Vec::new();
        let mut parts = vec![rows];
        while let Some(part) = parts.pop() {
            match (self.write(part).await, part) {
                (Ok(()), _) => {}
                (Err(WriteError::Data(reason)), [row]) => {
                    refused.push(Refused {
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
        Ok(refused)
    }

    async fn write_group(
        &self,
        transaction: &DatabaseTransaction,
        group: &Group<'_>,
    ) -> Result<(), WriteError> {
        let target = group.rows.first().and_then(|row| self.tables.target(row));
        let Some(target) = target else { return Ok(()) };
        let fit = (self.dialect.bind_limit() / target.columns.len())
            .min(self.batch_size)
            .max(1);
        let limit = match group.change {
            Change::Write => fit,
            Change::Delete => fit.min(KEYS_PER_DELETE),
        };
        let mut rows = &group.rows[..];
        while !rows.is_empty() {
            let (now, later) = rows.split_at(statement_rows(rows.len(), limit));
            let statement = self.statement(group.change, &target, now)?;
            transaction.execute_raw(statement).await?;
            rows = later;
        }
        Ok(())
    }

    fn statement(
        &self,
        change: Change,
        target: &Target,
        rows: &[&Row],
    ) -> Result<Statement, WriteError> {
        let sql = match change {
            Change::Write => self.dialect.insert(target, rows.len(), self.upsert),
            Change::Delete => self.dialect.delete(target, rows.len()),
        };
        let mut values = Vec::with_capacity(rows.len() * target.columns.len());
        for row in rows {
            for (value, column) in row.values.iter().zip(&target.columns) {
                values.push(self.dialect.bind(value, column)?);
            }
        }
        Ok(Statement::from_sql_and_values(
            self.dialect.backend(),
            sql,
            values,
        ))
    }

    /// Whether the database answers.
    pub(super) async fn ping(&self) -> Result<(), sea_orm::DbErr> {
        self.db.ping().await
    }
}

/// The largest power of two within both: so few sizes of statement that the driver's cache
/// of prepared statements holds them all.
fn statement_rows(rows: usize, limit: usize) -> usize {
    let most = rows.min(limit).max(1);
    1 << most.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_come_in_few_sizes() {
        assert_eq!(statement_rows(2_000, 1_024), 1_024);
        assert_eq!(statement_rows(976, 1_024), 512);
        assert_eq!(statement_rows(3, 1_024), 2);
        assert_eq!(statement_rows(1, 1_024), 1);
        assert_eq!(statement_rows(10, 1), 1);
    }
}
