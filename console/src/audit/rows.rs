use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement};
use shared::contract::{
    DeltaKind, Order, OrderId, Outcome, ProductId, Reason, Status, Timestamp, UserId,
};
use shared::database::filled_up;

use crate::Databases;

/// What the databases have of an order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) order: Option<Order>,
    pub(crate) reserve: Option<Movement>,
    pub(crate) release: Option<Movement>,
    /// The outcome of the kind that was asked for.
    pub(crate) outcome: Option<Outcome>,
}

/// A row of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) delta: i64,
    pub(super) status: Option<Status>,
    pub(super) reason: Option<Reason>,
    pub(super) decided_at: Timestamp,
}

/// A product and the sum of its ledger.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub(super) struct Stock {
    pub(super) product_id: i64,
    pub(super) qty: i64,
    pub(super) ledger: i64,
}

pub(crate) type Key = (OrderId, DeltaKind);

#[derive(FromQueryResult)]
struct OrderRow {
    id: OrderId,
    user_id: i64,
    product_id: i64,
    qty: i32,
    unit_price: i64,
    total_price: i64,
    created_at: Timestamp,
    idempotency_key: Option<String>,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: OrderId,
}

#[derive(FromQueryResult)]
struct OutcomeRow {
    id: String,
    order_id: OrderId,
    status: String,
    reason: Option<String>,
    decided_at: Timestamp,
}

#[derive(FromQueryResult)]
struct LedgerRow {
    reference: OrderId,
    kind: String,
    delta: i64,
    status: Option<String>,
    reason: Option<String>,
    decided_at: Timestamp,
}

/// Three queries, whatever the number of keys.
pub(crate) async fn read(databases: &Databases, keys: &[Key]) -> Result<HashMap<Key, Rows>, DbErr> {
    let ids: Vec<_> = keys.iter().map(|(id, _)| id.to_string()).collect();
    // From the first written to the last: what is read later may only be more.
    let movements = movements(&databases.catalog, &ids).await?;
    let outcomes = outcomes(&databases.orders, &ids).await?;
    let placed = placed(&databases.orders, &ids).await?;
    let of = |&(id, kind): &Key| Rows {
        order: placed.get(&id).cloned(),
        reserve: movements.get(&(id, DeltaKind::Reserve)).copied(),
        release: movements.get(&(id, DeltaKind::Release)).copied(),
        outcome: outcomes.get(&(id, kind)).copied(),
    };
    Ok(keys.iter().map(|key| (*key, of(key))).collect())
}

async fn placed(
    database: &DatabaseConnection,
    ids: &[String],
) -> Result<HashMap<OrderId, Order>, DbErr> {
    let columns = [
        "id",
        "user_id",
        "product_id",
        "qty",
        "unit_price",
        "total_price",
        "created_at",
        "idempotency_key",
    ];
    let rows: Vec<OrderRow> = select(database, "orders", &columns, ("id", ids)).await?;
    let order = |row: OrderRow| Order {
        id: row.id,
        user_id: UserId(row.user_id),
        product_id: ProductId(row.product_id),
        qty: row.qty,
        unit_price: row.unit_price,
        total_price: row.total_price,
        created_at: row.created_at,
        idempotency_key: row.idempotency_key,
    };
    Ok(rows.into_iter().map(|row| (row.id, order(row))).collect())
}

/// The ids of these orders' rows, one per row.
pub(crate) async fn order_ids(
    orders: &DatabaseConnection,
    ids: &[OrderId],
) -> Result<Vec<OrderId>, DbErr> {
    let ids: Vec<_> = ids.iter().map(OrderId::to_string).collect();
    let rows: Vec<IdRow> = select(orders, "orders", &["id"], ("id", &ids)).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn outcomes(
    database: &DatabaseConnection,
    ids: &[String],
) -> Result<HashMap<Key, Outcome>, DbErr> {
    let columns = ["id", "order_id", "status", "reason", "decided_at"];
    let rows: Vec<OutcomeRow> =
        select(database, "order_outcomes", &columns, ("order_id", ids)).await?;
    let outcome = |row: &OutcomeRow| {
        let kind = row.id.rsplit_once(':')?.1.parse().ok()?;
        let outcome = Outcome {
            order_id: row.order_id,
            kind,
            status: row.status.parse().ok()?,
            reason: row.reason.as_deref().map(str::parse).transpose().ok()?,
            decided_at: row.decided_at,
        };
        Some(((row.order_id, kind), outcome))
    };
    Ok(rows.iter().filter_map(outcome).collect())
}

async fn movements(
    database: &DatabaseConnection,
    ids: &[String],
) -> Result<HashMap<Key, Movement>, DbErr> {
    let columns = [
        "reference",
        "kind",
        "delta",
        "status",
        "reason",
        "decided_at",
    ];
    let rows: Vec<LedgerRow> =
        select(database, "stock_ledger", &columns, ("reference", ids)).await?;
    let movement = |row: &LedgerRow| {
        let movement = Movement {
            delta: row.delta,
            status: row.status.as_deref().map(str::parse).transpose().ok()?,
            reason: row.reason.as_deref().map(str::parse).transpose().ok()?,
            decided_at: row.decided_at,
        };
        Some(((row.reference, row.kind.parse().ok()?), movement))
    };
    Ok(rows.iter().filter_map(movement).collect())
}

/// One statement, so that stock and ledger are of one moment.
pub(super) async fn stock(catalog: &DatabaseConnection) -> Result<Vec<Stock>, DbErr> {
    let backend = catalog.get_database_backend();
    // Sums are decimals on MariaDB and PostgreSQL.
    let integer = match backend {
        DbBackend::MySql => "SIGNED",
        _ => "BIGINT",
    };
    let sql = format!(
        "SELECT s.product_id, s.qty, CAST(COALESCE(l.moved, 0) AS {integer}) AS ledger FROM stock s \
         LEFT JOIN (SELECT product_id, SUM(delta) AS moved FROM stock_ledger GROUP BY product_id) l \
         ON l.product_id = s.product_id"
    );
    let rows = catalog
        .query_all_raw(Statement::from_string(backend, sql))
        .await?;
    rows.iter()
        .map(|row| Stock::from_query_result(row, ""))
        .collect()
}

async fn select<T: FromQueryResult>(
    database: &DatabaseConnection,
    table: &'static str,
    columns: &[&'static str],
    (column, ids): (&'static str, &[String]),
) -> Result<Vec<T>, DbErr> {
    let query: SelectStatement = Query::select()
        .columns(columns.iter().copied())
        .from(table)
        .and_where(Expr::col(column).is_in(filled_up(ids)))
        .take();
    let rows = database.query_all(&query).await?;
    rows.iter()
        .map(|row| T::from_query_result(row, ""))
        .collect()
}
