use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement};
use shared::contract::{ProductId, Status, Timestamp};
use tokio::join;

use super::{lists, pieces};
use crate::entities::{Entry, EntryKind, Reference, StockLedger};

const COLUMNS: [StockLedger; 7] = [
    StockLedger::Reference,
    StockLedger::Kind,
    StockLedger::ProductId,
    StockLedger::Delta,
    StockLedger::Status,
    StockLedger::Reason,
    StockLedger::DecidedAt,
];

/// Kind, status and reason of a confirmed reservation.
const CONFIRMED: [&str; 3] = ["'reserve'", "'CONFIRMED'", "NULL"];

/// A place in a product's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPosition {
    pub decided_at: Timestamp,
    pub reference: Reference,
    pub kind: EntryKind,
}

impl From<&Entry> for LedgerPosition {
    fn from(entry: &Entry) -> Self {
        Self {
            decided_at: entry.decided_at,
            reference: entry.reference.clone(),
            kind: entry.kind,
        }
    }
}

/// Which movements of a product to list, newest first.
#[derive(Debug, Clone)]
pub struct LedgerPage {
    pub product_id: ProductId,
    pub after: Option<LedgerPosition>,
    pub limit: u64,
}

/// The `reserve` and `release` rows of orders.
pub async fn order_entries(
    transaction: &DatabaseTransaction,
    orders: &[Reference],
) -> Result<Vec<Entry>, DbErr> {
    let mut entries = Vec::new();
    let kinds = [EntryKind::Reserve, EntryKind::Release];
    for orders in lists(orders) {
        let statement = select()
            .and_where(Expr::col(StockLedger::Reference).is_in(orders))
            .and_where(Expr::col(StockLedger::Kind).is_in(kinds))
            .take();
        entries.extend(all(transaction, &statement).await?);
    }
    Ok(entries)
}

/// Fails on an entry that is already there: see [`super::Fault::Conflict`].
pub async fn insert_entries(
    transaction: &DatabaseTransaction,
    entries: &[Entry],
) -> Result<(), DbErr> {
    let backend = transaction.get_database_backend();
    // In a statement of its own each, so that their texts stay few.
    let (confirmed, others): (Vec<_>, Vec<_>) = entries.iter().partition(|e| is_confirmed(e));
    let pieces = pieces(&confirmed).chain(pieces(&others));
    let mut statements = pieces.map(|entries| insert(entries, backend));
    let mut next = statements.next();
    while let Some(statement) = next {
        // While the database works on one, the next one is built.
        let execute = transaction.execute_raw(statement);
        let (executed, following) = join!(execute, async { statements.next() });
        executed?;
        next = following;
    }
    Ok(())
}

fn insert(entries: &[&Entry], backend: DbBackend) -> Statement {
    let statement = Query::insert()
        .into_table(StockLedger::Table)
        .columns(COLUMNS)
        .values_from_panic(entries.iter().map(|entry| values(entry, backend)))
        .take();
    backend.build(&statement)
}

pub async fn find_entry(
    db: &impl ConnectionTrait,
    reference: &Reference,
    kind: EntryKind,
) -> Result<Option<Entry>, DbErr> {
    let statement = select()
        .and_where(Expr::col(StockLedger::Reference).eq(reference.clone()))
        .and_where(Expr::col(StockLedger::Kind).eq(kind))
        .take();
    Ok(all(db, &statement).await?.pop())
}

pub async fn list_entries(
    db: &impl ConnectionTrait,
    page: LedgerPage,
) -> Result<Vec<Entry>, DbErr> {
    let mut statement = select();
    statement.and_where(Expr::col(StockLedger::ProductId).eq(page.product_id));
    if let Some(after) = page.after {
        statement.and_where(older_than(after, db.get_database_backend()));
    }
    statement
        .order_by(StockLedger::DecidedAt, Order::Desc)
        .order_by(StockLedger::Reference, Order::Desc)
        .order_by(StockLedger::Kind, Order::Desc)
        .limit(page.limit);
    all(db, &statement).await
}

/// `(decided_at, reference, kind) < position`. The first line, though it follows from
/// the second, is what MariaDB needs to begin at the place in the index.
fn older_than(position: LedgerPosition, backend: DbBackend) -> Expr {
    let decided_at = || position.decided_at.to_value(backend);
    let time = || Expr::col(StockLedger::DecidedAt);
    let reference = || Expr::col(StockLedger::Reference);
    let same_reference = reference()
        .eq(position.reference.clone())
        .and(Expr::col(StockLedger::Kind).lt(position.kind));
    let same_time = reference()
        .lt(position.reference.clone())
        .or(same_reference);
    time()
        .lte(decided_at())
        .and(time().lt(decided_at()).or(same_time))
}

fn select() -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(StockLedger::Table)
        .take()
}

async fn all(db: &impl ConnectionTrait, statement: &SelectStatement) -> Result<Vec<Entry>, DbErr> {
    let rows = db.query_all(statement).await?;
    rows.iter()
        .map(|row| Entry::from_query_result(row, ""))
        .collect()
}

/// In the order of [`COLUMNS`]. What nearly all rows of a busy batch have in common is a part of the
/// statement's text: binding it takes a tenth of MariaDB's time.
fn values(entry: &Entry, backend: DbBackend) -> [Expr; 7] {
    let [kind, status, reason] = if is_confirmed(entry) {
        CONFIRMED.map(Expr::cust)
    } else {
        [
            entry.kind.into(),
            entry.status.map(Status::as_str).into(),
            entry.reason.as_deref().into(),
        ]
    };
    [
        entry.reference.as_str().into(),
        kind,
        entry.product_id.into(),
        entry.delta.into(),
        status,
        reason,
        entry.decided_at.to_value(backend).into(),
    ]
}

fn is_confirmed(entry: &Entry) -> bool {
    entry.kind == EntryKind::Reserve
        && entry.status == Some(Status::Confirmed)
        && entry.reason.is_none()
}
