//! The orders database, which this service only ever reads.

mod look_ups;
mod reader;
#[cfg(test)]
pub(crate) mod tests;

use std::cmp::min;
use std::future::Future;
use std::time::Duration;

use sea_orm::sea_query::{
    Alias, Condition, Expr, ExprTrait, Func, JoinType, Order as Direction, Query, SelectStatement,
};
use sea_orm::{DbErr, DeriveIden, FromQueryResult, QueryResult};
use shared::contract::{Order, OrderId, UserId};
use shared::http::Dependency;

use crate::known_order::{Decision, KnownOrder};
use crate::page::{Cursor, Filter, Found};
use look_ups::Asking;
pub(crate) use look_ups::LookUps;
pub(crate) use reader::Reader;

/// How long a client waits for the database.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an order waits for the look-up that correctness does not need.
const KEY_PATIENCE: Duration = Duration::from_millis(100);
/// Orders that a page looks through at most. The list has an index, but a status follows from
/// another table: without a bound, a page of a rare one would cost a walk through all orders.
const LOOKED_THROUGH: u64 = 10_000;
/// Orders that are looked at together. For twice as many PostgreSQL rather reads all outcomes.
const LARGEST_STEP: u64 = 1_000;

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the orders database cannot be read: {0}")]
    Database(DbErr),
    #[error("a row of the orders database cannot be read: {0}")]
    Row(DbErr),
    #[error("the orders database did not answer in time")]
    TimedOut,
}

impl From<DbErr> for ReadError {
    fn from(error: DbErr) -> Self {
        match error {
            DbErr::Type(_) => Self::Row(error),
            _ => Self::Database(error),
        }
    }
}

#[derive(Clone)]
pub(crate) struct ReadModel {
    reader: Reader,
    health: Dependency,
    asking: Asking,
}

#[derive(DeriveIden)]
enum Orders {
    #[sea_orm(iden = "orders")]
    Table,
    Id,
    UserId,
    ProductId,
    Qty,
    UnitPrice,
    TotalPrice,
    CreatedAt,
    IdempotencyKey,
}

#[derive(DeriveIden)]
enum OrderOutcomes {
    #[sea_orm(iden = "order_outcomes")]
    Table,
    Id,
    Status,
    Reason,
}

/// The two kinds of outcomes an order may have, each in its own join.
const RESERVE: &str = "reserve";
const RELEASE: &str = "release";

impl ReadModel {
    /// With the task that looks orders up.
    pub(crate) fn new(reader: Reader, health: Dependency) -> (Self, LookUps) {
        let (asking, look_ups) = LookUps::new(reader.clone());
        let read_model = Self {
            reader,
            health,
            asking,
        };
        (read_model, look_ups)
    }

    pub(crate) async fn order(&self, id: OrderId) -> Result<Option<KnownOrder>, ReadError> {
        self.within(PATIENCE, self.asking.order(id)).await
    }

    /// What a user placed with this idempotency key.
    pub(crate) async fn placed_with(
        &self,
        user: UserId,
        key: &str,
    ) -> Result<Vec<KnownOrder>, ReadError> {
        let query = select_orders()
            .and_where(column(Orders::UserId).eq(user.0))
            .and_where(column(Orders::IdempotencyKey).eq(key))
            .take();
        // Late for so little patience is not yet broken.
        in_time(KEY_PATIENCE, self.fetch(query)).await
    }

    /// Orders newest first.
    pub(crate) async fn page(&self, filter: &Filter) -> Result<Found, ReadError> {
        let walk = self.walk(filter, LOOKED_THROUGH);
        self.within(PATIENCE, walk).await
    }

    /// Looks at `left` orders at most, in growing steps: those of a status may be dense or sparse.
    async fn walk(&self, filter: &Filter, mut left: u64) -> Result<Found, DbErr> {
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        let mut step = filter.limit + 1;
        let mut found = Found {
            next: filter.cursor,
            ..Found::default()
        };
        while left > 0 && found.orders.len() < limit {
            step = min(step, left);
            let orders = self.newest(filter.user_id, found.next, step).await?;
            let is_end = (orders.len() as u64) < step;
            for known in orders {
                if found.orders.len() == limit {
                    return Ok(found);
                }
                found.next = Some(Cursor::from(&known));
                if filter.status.is_none_or(|status| known.status() == status) {
                    found.orders.push(known);
                }
            }
            if is_end {
                found.next = None;
                break;
            }
            left -= step;
            step = min(LARGEST_STEP, 2 * step);
        }
        Ok(found)
    }

    async fn newest(
        &self,
        user: Option<UserId>,
        behind: Option<Cursor>,
        limit: u64,
    ) -> Result<Vec<KnownOrder>, DbErr> {
        let mut query = select_orders();
        if let Some(user) = user {
            query.and_where(column(Orders::UserId).eq(user.0));
        }
        if let Some(cursor) = behind {
            query.cond_where(self.before(cursor));
        }
        query
            .order_by((Orders::Table, Orders::CreatedAt), Direction::Desc)
            .order_by((Orders::Table, Orders::Id), Direction::Desc)
            .limit(limit);
        self.fetch(query).await
    }

    /// The first condition bounds the index scan, the second one skips the ties.
    fn before(&self, cursor: Cursor) -> Condition {
        let at = cursor.created_at.to_value(self.reader.backend());
        let ties = column(Orders::CreatedAt)
            .lt(at.clone())
            .or(column(Orders::Id).lt(cursor.id.to_string()));
        Condition::all()
            .add(column(Orders::CreatedAt).lte(at))
            .add(ties)
    }

    async fn fetch(&self, query: SelectStatement) -> Result<Vec<KnownOrder>, DbErr> {
        let rows = self.reader.rows(query).await?;
        rows.iter()
            .map(|row| OrderRow::from_query_result(row, "").map(|row| row.0))
            .collect()
    }

    async fn within<T, E: Into<ReadError>>(
        &self,
        patience: Duration,
        query: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ReadError> {
        let result = in_time(patience, query).await;
        match &result {
            Ok(_) | Err(ReadError::Row(_)) => self.health.up(),
            Err(error) => self.health.down(error.to_string()),
        }
        result
    }

    /// Keeps the readiness detail true without traffic.
    pub(crate) async fn probe(&self) {
        // The result is in the health already.
        drop(self.within(PATIENCE, self.reader.ping()).await);
    }
}

async fn in_time<T, E: Into<ReadError>>(
    patience: Duration,
    query: impl Future<Output = Result<T, E>>,
) -> Result<T, ReadError> {
    match tokio::time::timeout(patience, query).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(ReadError::TimedOut),
    }
}

fn column(column: Orders) -> Expr {
    Expr::col((Orders::Table, column))
}

fn outcome(join: &'static str, column: OrderOutcomes) -> Expr {
    Expr::col((Alias::new(join), column))
}

/// Orders with both outcomes an order may have, each at most once.
fn select_orders() -> SelectStatement {
    // By the facts' own key, which takes half the steps that their index by order does.
    let joined = |join: &'static str| {
        let kind = Expr::cust(format!("':{join}'"));
        let key = Func::cust("CONCAT").args([column(Orders::Id), kind]);
        outcome(join, OrderOutcomes::Id).eq(key)
    };
    let order_columns = [
        Orders::Id,
        Orders::UserId,
        Orders::ProductId,
        Orders::Qty,
        Orders::UnitPrice,
        Orders::TotalPrice,
        Orders::CreatedAt,
        Orders::IdempotencyKey,
    ];
    let left = |join: &'static str| (OrderOutcomes::Table, Alias::new(join), joined(join));
    let (reserve, release) = (left(RESERVE), left(RELEASE));
    Query::select()
        .columns(order_columns.map(|column| (Orders::Table, column)))
        .expr_as(outcome(RESERVE, OrderOutcomes::Status), "reserve_status")
        .expr_as(outcome(RESERVE, OrderOutcomes::Reason), "reserve_reason")
        .expr_as(outcome(RELEASE, OrderOutcomes::Status), "release_status")
        .from(Orders::Table)
        .join_as(JoinType::LeftJoin, reserve.0, reserve.1, reserve.2)
        .join_as(JoinType::LeftJoin, release.0, release.1, release.2)
        .take()
}

struct OrderRow(KnownOrder);

impl FromQueryResult for OrderRow {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let order = Order {
            id: row.try_get(prefix, "id")?,
            user_id: row.try_get(prefix, "user_id")?,
            product_id: row.try_get(prefix, "product_id")?,
            qty: row.try_get(prefix, "qty")?,
            unit_price: row.try_get(prefix, "unit_price")?,
            total_price: row.try_get(prefix, "total_price")?,
            created_at: row.try_get(prefix, "created_at")?,
            idempotency_key: row.try_get(prefix, "idempotency_key")?,
        };
        let status: Option<String> = row.try_get(prefix, "reserve_status")?;
        let reason: Option<String> = row.try_get(prefix, "reserve_reason")?;
        let cancelled: Option<String> = row.try_get(prefix, "release_status")?;
        let reserve = status
            .map(|status| Decision::from_columns(&status, reason.as_deref()))
            .transpose();
        let reserve = reserve.map_err(|error| DbErr::Type(error.to_string()))?;
        Ok(Self(KnownOrder {
            order,
            reserve,
            cancelled: cancelled.is_some(),
        }))
    }
}
