//! The catalog database: its statements, and what its errors mean.

mod fault;
mod ledger;
mod stock;

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use shared::backoff::Backoff;
use shared::database::{filled_up, rows_at_once, to_its_end};
use tokio::time::timeout;

pub use fault::Fault;
pub use ledger::{
    LedgerPage, LedgerPosition, find_entry, insert_entries, list_entries, order_entries,
};
pub use stock::{
    StockPage, find_product, insert_product, list_products, lock_products, update_details,
    write_quantities,
};

const MOST_CONFLICTS: u32 = 5;
/// Rows of a statement at most. While the database works on one, the next is built: a large batch
/// should have several.
const LARGEST_PIECE: usize = 512;

/// Begins a transaction that will write. On SQLite it takes the one write lock at once:
/// a transaction that reads first could not get it later.
pub async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    db.begin_with_options(options).await
}

/// A database that is silent, on a connection that nobody closed, is broken as well. The work goes
/// on to its end all the same.
pub async fn answered_within<T: Send + 'static>(
    limit: Duration,
    work: impl Future<Output = Result<T, DbErr>> + Send + 'static,
) -> Result<T, DbErr> {
    let silent = |_| DbErr::Custom(format!("no answer for {} s", limit.as_secs()));
    let answer = timeout(limit, to_its_end(work)).await;
    answer.map_err(silent).flatten()
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
        Self {
            conflicts,
            left: MOST_CONFLICTS,
            backoff: Backoff::default(),
        }
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

/// Cuts the rows of a batch into those of one statement each.
fn pieces<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(rows_at_once(rest.len(), LARGEST_PIECE));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Cuts what a batch asks for into lists for one `IN` each, filled up as such lists may be.
fn lists<T: Clone>(elements: &[T]) -> impl Iterator<Item = Vec<T>> {
    elements.chunks(LARGEST_PIECE).map(filled_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_filled_up_to_powers_of_two() {
        let lengths = |count: i32| -> Vec<_> {
            let elements: Vec<_> = (0..count).collect();
            lists(&elements).map(|list| list.len()).collect()
        };
        assert_eq!(lengths(1_028), [512, 512, 4]);
        assert_eq!(lengths(0), [0; 0]);
        assert_eq!(lists(&[1, 2, 3]).next(), Some(vec![1, 2, 3, 3]));
    }

    #[test]
    fn pieces_are_all_rows_in_order() {
        let rows: Vec<_> = (0..1_550).collect();
        let sizes: Vec<_> = pieces(&rows).map(<[i32]>::len).collect();
        assert_eq!(sizes, [512, 512, 512, 14]);
        assert!(pieces(&rows).flatten().eq(&rows));
        assert_eq!(pieces::<i32>(&[]).count(), 0);
    }
}
