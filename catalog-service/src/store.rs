//! The catalog database: its statements, each of constant number per batch, and what
//! its errors mean.

mod fault;
mod ledger;
mod stock;

use prometheus_client::metrics::counter::Counter;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use shared::backoff::Backoff;

pub use fault::Fault;
pub use ledger::{
    LedgerPage, LedgerPosition, find_entry, insert_entries, list_entries, order_entries,
};
pub use stock::{
    StockPage, find_product, insert_product, list_products, lock_products, update_details,
    write_quantities,
};

const MOST_CONFLICTS: u32 = 5;

/// Begins a transaction that will write. On SQLite it takes the one write lock at once:
/// a transaction that reads first could not get it later.
pub async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    db.begin_with_options(options).await
}

/// How long a transaction that loses against rivals is begun again: with jitter, and not
/// for ever, since to lose too often is to have a broken database.
pub struct Patience<'a> {
    conflicts: &'a Counter,
    left: u32,
    backoff: Backoff,
}

impl<'a> Patience<'a> {
    /// `conflicts` counts the transactions begun again.
    pub fn new(conflicts: &'a Counter) -> Self {
        Self { conflicts, left: MOST_CONFLICTS, backoff: Backoff::default() }
    }

    /// Whether to begin again after `error`; if so, the wait is already over.
    pub async fn outlasts(&mut self, error: &DbErr) -> bool {
        if self.left == 0 || Fault::of(error) != Fault::Conflict {
            return false;
        }
        tracing::debug!(%error, "a rival was faster");
        self.conflicts.inc();
        self.left -= 1;
        self.backoff.wait().await;
        true
    }
}

/// How many rows of `columns` values fit into one statement (sqlx's bind limits).
fn rows_per_statement(backend: DbBackend, columns: usize) -> usize {
    let limit = match backend {
        DbBackend::Sqlite => 32_766,
        _ => 65_535,
    };
    limit / columns
}
