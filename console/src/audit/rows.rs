use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, QueryResult, Statement,
    TryGetableMany,
};
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
pub(crate) struct Stock {
    pub(crate) product_id: i64,
    pub(crate) qty: i64,
    pub(crate) ledger: i64,
}

pub(crate) type Key = (OrderId, DeltaKind);

/// Milliseconds between two neighbours at most: the orders of one transaction are placed at once.
const CLOSE: i64 = 50;
/// Milliseconds between neighbours on average at most: among those that are asked for may be others.
const DENSE: i64 = 4;
/// Fewer neighbours are looked up one by one.
const MANY: usize = 16;

/// Which rows to read.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// All from one order to another: to read on from row to row costs a fraction of looking
    /// each of them up.
    Between(OrderId, OrderId),
    Each(Vec<Key>),
}

impl Wanted {
    /// All of them, in as few parts as makes sense.
    fn parts(keys: &[Key]) -> Vec<Self> {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        let (mut parts, mut single) = (Vec::new(), Vec::new());
        for neighbours in sorted.chunk_by(are_close) {
            match neighbours {
                [first, .., last] if neighbours.len() >= MANY && are_dense(neighbours) => {
                    parts.push(Self::Between(first.0, last.0));
                }
                few => single.extend_from_slice(few),
            }
        }
        if !single.is_empty() {
            parts.push(Self::Each(single));
        }
        parts
    }

    /// By a column with orders' ids.
    fn by_order(&self, column: &'static str) -> Expr {
        let column = Expr::col(column);
        match self {
            Self::Between(first, last) => column.between(first.to_string(), last.to_string()),
            Self::Each(keys) => {
                let ids: Vec<_> = keys.iter().map(|(id, _)| id.to_string()).collect();
                column.is_in(filled_up(&ids))
            }
        }
    }

    /// By the ids of facts, which begin with their order's.
    fn by_fact(&self) -> Expr {
        let column = Expr::col("id");
        match self {
            Self::Between(first, last) => {
                // The last kind there is, by name.
                let end = Outcome::id_of(*last, DeltaKind::Reserve);
                column.between(first.to_string(), end)
            }
            Self::Each(keys) => {
                let ids = keys
                    .iter()
                    .map(|(order, kind)| Outcome::id_of(*order, *kind));
                let ids: Vec<_> = ids.collect();
                column.is_in(filled_up(&ids))
            }
        }
    }
}

fn are_close(one: &Key, next: &Key) -> bool {
    millis_between(one, next).is_some_and(|millis| millis <= CLOSE)
}

fn are_dense(neighbours: &[Key]) -> bool {
    let ends = neighbours.first().zip(neighbours.last());
    let millis = ends.and_then(|(first, last)| millis_between(first, last));
    let count = i64::try_from(neighbours.len()).unwrap_or(i64::MAX);
    millis.is_some_and(|millis| millis <= DENSE.saturating_mul(count))
}

/// `None` where an id follows from an idempotency key: it has no neighbours.
fn millis_between((one, _): &Key, (next, _): &Key) -> Option<i64> {
    Some(next.created_at_millis()? - one.created_at_millis()?)
}

/// Three queries for each part of the keys.
pub(crate) async fn read(databases: &Databases, keys: &[Key]) -> Result<HashMap<Key, Rows>, DbErr> {
    let mut rows: HashMap<_, _> = keys.iter().map(|key| (*key, Rows::default())).collect();
    for wanted in Wanted::parts(keys) {
        // From the first written to the last: what is read later may only be more.
        read_movements(&databases.catalog, &wanted, &mut rows).await?;
        read_outcomes(&databases.orders, &wanted, &mut rows).await?;
        read_orders(&databases.orders, &wanted, &mut rows).await?;
    }
    Ok(rows)
}

async fn read_orders(
    database: &DatabaseConnection,
    wanted: &Wanted,
    rows: &mut HashMap<Key, Rows>,
) -> Result<(), DbErr> {
    type Row = (OrderId, i64, i64, i32, i64, i64, Timestamp, Option<String>);
    let query = Query::select()
        .columns(["id", "user_id", "product_id", "qty"])
        .columns(["unit_price", "total_price", "created_at", "idempotency_key"])
        .from("orders")
        .and_where(wanted.by_order("id"))
        .take();
    for row in select::<Row>(database, &query).await? {
        let (id, user, product, qty, unit_price, total_price, created_at, idempotency_key) = row;
        let order = Order {
            id,
            user_id: UserId(user),
            product_id: ProductId(product),
            qty,
            unit_price,
            total_price,
            created_at,
            idempotency_key,
        };
        for kind in DeltaKind::ALL {
            if let Some(rows) = rows.get_mut(&(id, kind)) {
                rows.order = Some(order.clone());
            }
        }
    }
    Ok(())
}

/// The ids of these orders' rows, one per row.
pub(crate) async fn order_ids(
    orders: &DatabaseConnection,
    ids: &[OrderId],
) -> Result<Vec<OrderId>, DbErr> {
    let ids: Vec<_> = ids.iter().map(OrderId::to_string).collect();
    let query = Query::select()
        .column("id")
        .from("orders")
        .and_where(Expr::col("id").is_in(filled_up(&ids)))
        .take();
    select(orders, &query).await
}

async fn read_outcomes(
    database: &DatabaseConnection,
    wanted: &Wanted,
    rows: &mut HashMap<Key, Rows>,
) -> Result<(), DbErr> {
    type Row = (String, OrderId, String, Option<String>, Timestamp);
    let query = Query::select()
        .columns(["id", "order_id", "status", "reason", "decided_at"])
        .from("order_outcomes")
        .and_where(wanted.by_fact())
        .take();
    let outcome = |(id, order_id, status, reason, decided_at): Row| {
        Some(Outcome {
            order_id,
            kind: id.rsplit_once(':')?.1.parse().ok()?,
            status: status.parse().ok()?,
            reason: reason.as_deref().map(str::parse).transpose().ok()?,
            decided_at,
        })
    };
    let found = select(database, &query).await?.into_iter();
    for outcome in found.filter_map(outcome) {
        if let Some(rows) = rows.get_mut(&(outcome.order_id, outcome.kind)) {
            rows.outcome = Some(outcome);
        }
    }
    Ok(())
}

async fn read_movements(
    database: &DatabaseConnection,
    wanted: &Wanted,
    rows: &mut HashMap<Key, Rows>,
) -> Result<(), DbErr> {
    type Row = (
        String,
        String,
        i64,
        Option<String>,
        Option<String>,
        Timestamp,
    );
    let query = Query::select()
        .columns(["reference", "kind", "delta"])
        .columns(["status", "reason", "decided_at"])
        .from("stock_ledger")
        .and_where(wanted.by_order("reference"))
        .take();
    let movement = |(reference, kind, delta, status, reason, decided_at): Row| {
        let movement = Movement {
            delta,
            status: status.as_deref().map(str::parse).transpose().ok()?,
            reason: reason.as_deref().map(str::parse).transpose().ok()?,
            decided_at,
        };
        let key: Key = (reference.parse().ok()?, kind.parse().ok()?);
        Some((key, movement))
    };
    let found = select(database, &query).await?.into_iter();
    for ((id, moved), movement) in found.filter_map(movement) {
        for kind in DeltaKind::ALL {
            if let Some(rows) = rows.get_mut(&(id, kind)) {
                match moved {
                    DeltaKind::Reserve => rows.reserve = Some(movement),
                    DeltaKind::Release => rows.release = Some(movement),
                }
            }
        }
    }
    Ok(())
}

/// One statement, so that stock and ledger are of one moment.
pub(crate) async fn stock(catalog: &DatabaseConnection) -> Result<Vec<Stock>, DbErr> {
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

async fn select<T: TryGetableMany>(
    database: &DatabaseConnection,
    query: &SelectStatement,
) -> Result<Vec<T>, DbErr> {
    let rows = database.query_all(query).await?;
    rows.iter()
        .map(QueryResult::try_get_many_by_index)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> OrderId {
        format!(
            "{:08x}-{:04x}-7000-8000-000000000000",
            millis >> 16,
            millis & 0xffff
        )
        .parse()
        .unwrap()
    }

    #[test]
    fn neighbours_are_read_together_and_others_one_by_one() {
        let reserve = |id| (id, DeltaKind::Reserve);
        let keyed = OrderId::from_parts(&[b"key"]);
        let lone = at(1_000);
        let dense = |place| reserve(at(2_000 + DENSE * place));
        let sparse = |place| reserve(at(3_000 + CLOSE * place));
        let sparse: Vec<_> = (0..16).map(sparse).collect();
        let mut keys = vec![reserve(lone), reserve(keyed)];
        keys.extend((0..16).map(dense).chain(sparse.clone()));
        let together = Wanted::Between(at(2_000), at(2_000 + DENSE * 15));
        let mut single = vec![reserve(lone)];
        single.extend(sparse);
        single.push(reserve(keyed));
        keys.reverse();
        assert_eq!(Wanted::parts(&keys), [together, Wanted::Each(single)]);
    }
}
