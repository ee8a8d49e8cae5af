use std::collections::HashMap;

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, FromQueryResult,
    QueryResult, Value,
};
use shared::contract::{OrderId, Timestamp};

/// A row of `orders`.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct OrderRow {
    pub id: OrderId,
    pub user_id: i64,
    pub product_id: i64,
    pub qty: i32,
    pub unit_price: i64,
    pub total_price: i64,
    pub created_at: Timestamp,
    pub idempotency_key: Option<String>,
}

/// A row of `order_outcomes`.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct OutcomeRow {
    pub id: String,
    pub order_id: OrderId,
    pub status: String,
    pub reason: Option<String>,
    pub decided_at: Timestamp,
}

/// A row of `stock_ledger`.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct LedgerRow {
    pub reference: String,
    pub kind: String,
    pub product_id: i64,
    pub delta: i64,
    pub status: Option<String>,
    pub reason: Option<String>,
    pub decided_at: Timestamp,
}

/// What the sink writes.
pub struct OrdersDatabase(DatabaseConnection);

/// What the catalog-service keeps.
pub struct CatalogDatabase(DatabaseConnection);

impl OrdersDatabase {
    pub async fn open(url: &str) -> Result<Self, DbErr> {
        open(url).await.map(Self)
    }

    pub async fn order(&self, id: OrderId) -> Result<Option<OrderRow>, DbErr> {
        Ok(select(&self.0, &ORDERS, "id", id.to_string()).await?.pop())
    }

    pub async fn orders_of(&self, user: i64) -> Result<Vec<OrderRow>, DbErr> {
        select(&self.0, &ORDERS, "user_id", user).await
    }

    /// How many of these orders it has.
    pub async fn count_orders(&self, ids: &[OrderId]) -> Result<u64, DbErr> {
        let these = Expr::col("id").is_in(ids.iter().map(OrderId::to_string));
        let mut query = Query::select();
        count(&self.0, query.from(ORDERS.name).and_where(these).take()).await
    }

    /// All rows by their ids as they are; `None` where a row is no order of the contract.
    pub async fn all_orders(&self) -> Result<HashMap<String, Option<OrderRow>>, DbErr> {
        let query = all(&ORDERS);
        let rows = self.0.query_all(&query).await?;
        let entry = |row: &QueryResult| {
            let id: String = row.try_get("", "id")?;
            Ok((id, OrderRow::from_query_result(row, "").ok()))
        };
        rows.iter().map(entry).collect()
    }

    /// Orders and outcomes together.
    pub async fn count_rows(&self) -> Result<u64, DbErr> {
        let orders = count(&self.0, Query::select().from(ORDERS.name).take()).await?;
        let outcomes = count(&self.0, Query::select().from(ORDER_OUTCOMES.name).take()).await?;
        Ok(orders + outcomes)
    }

    /// Of the orders whose ids came after this one, and of their outcomes.
    pub async fn count_rows_after(&self, id: OrderId) -> Result<u64, DbErr> {
        let after = || Expr::col("id").gt(id.to_string());
        let query = |table: &Table| Query::select().from(table.name).and_where(after()).take();
        let orders = count(&self.0, query(&ORDERS)).await?;
        Ok(orders + count(&self.0, query(&ORDER_OUTCOMES)).await?)
    }

    pub async fn outcomes(&self, order: OrderId) -> Result<Vec<OutcomeRow>, DbErr> {
        select(&self.0, &ORDER_OUTCOMES, "order_id", order.to_string()).await
    }

    /// From now on the table of orders refuses this user's. On a server only: SQLite cannot
    /// change a table so.
    pub async fn refuse_user(&self, user: i64) -> Result<(), DbErr> {
        let check = format!("ADD CONSTRAINT refuses_{user} CHECK (user_id <> {user})");
        self.alter_orders(&check).await
    }

    pub async fn accept_user(&self, user: i64) -> Result<(), DbErr> {
        self.alter_orders(&format!("DROP CONSTRAINT refuses_{user}"))
            .await
    }

    async fn alter_orders(&self, change: &str) -> Result<(), DbErr> {
        let statement = format!("ALTER TABLE orders {change}");
        self.0.execute_unprepared(&statement).await.map(drop)
    }

    /// Takes a table away from the sink, or gives it back.
    pub async fn rename_table(&self, from: &str, to: &str) -> Result<(), DbErr> {
        let statement = format!("ALTER TABLE {from} RENAME TO {to}");
        self.0.execute_unprepared(&statement).await.map(drop)
    }
}

impl CatalogDatabase {
    /// How many of these orders it has decided on.
    pub async fn count_reserved(&self, ids: &[OrderId]) -> Result<u64, DbErr> {
        let these = Expr::col("reference").is_in(ids.iter().map(OrderId::to_string));
        let reserve = Expr::col("kind").eq("reserve");
        let mut query = Query::select();
        query.from(STOCK_LEDGER.name).and_where(these);
        count(&self.0, query.and_where(reserve).take()).await
    }

    /// All movements of orders.
    pub async fn count_reservations(&self) -> Result<u64, DbErr> {
        let reserve = Expr::col("kind").eq("reserve");
        count(
            &self.0,
            Query::select()
                .from(STOCK_LEDGER.name)
                .and_where(reserve)
                .take(),
        )
        .await
    }

    pub async fn open(url: &str) -> Result<Self, DbErr> {
        open(url).await.map(Self)
    }

    /// Of all products together. They are few, so it costs little to ask often.
    pub async fn total_stock(&self) -> Result<i64, DbErr> {
        let query = Query::select().column("qty").from("stock").take();
        let rows = self.0.query_all(&query).await?;
        rows.iter().map(|row| row.try_get::<i64>("", "qty")).sum()
    }

    /// All movements of a product's stock.
    pub async fn ledger_of(&self, product: i64) -> Result<Vec<LedgerRow>, DbErr> {
        select(&self.0, &STOCK_LEDGER, "product_id", product).await
    }

    /// The movements of all products.
    pub async fn all_movements(&self) -> Result<Vec<LedgerRow>, DbErr> {
        let rows = self.0.query_all(&all(&STOCK_LEDGER)).await?;
        let row = |row: &QueryResult| LedgerRow::from_query_result(row, "");
        rows.iter().map(row).collect()
    }

    /// An order's movements: its reservation, its release.
    pub async fn movements(&self, order: OrderId) -> Result<Vec<LedgerRow>, DbErr> {
        select(&self.0, &STOCK_LEDGER, "reference", order.to_string()).await
    }

    /// Gives a product another id behind the service's back: what nobody should do, and what
    /// makes a good delta bad until it is undone.
    pub async fn rename_product(&self, from: i64, to: i64) -> Result<(), DbErr> {
        let update = Query::update()
            .table("stock")
            .value("product_id", to)
            .and_where(Expr::col("product_id").eq(from))
            .take();
        self.0.execute(&update).await.map(drop)
    }
}

pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key: &'static [&'static str],
    pub(crate) columns: &'static [&'static str],
}

pub(crate) const ORDERS: Table = Table {
    name: "orders",
    key: &["id"],
    columns: &[
        "id",
        "user_id",
        "product_id",
        "qty",
        "unit_price",
        "total_price",
        "created_at",
        "idempotency_key",
    ],
};

pub(crate) const ORDER_OUTCOMES: Table = Table {
    name: "order_outcomes",
    key: &["id"],
    columns: &["id", "order_id", "status", "reason", "decided_at"],
};

pub(crate) const STOCK_LEDGER: Table = Table {
    name: "stock_ledger",
    key: &["reference", "kind"],
    columns: &[
        "reference",
        "kind",
        "product_id",
        "delta",
        "status",
        "reason",
        "decided_at",
    ],
};

/// Few connections: the services need the others.
pub(crate) async fn open(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(4).sqlx_logging(false);
    Database::connect(options).await
}

fn all(table: &Table) -> SelectStatement {
    Query::select()
        .columns(table.columns.iter().copied())
        .from(table.name)
        .take()
}

async fn select<T: FromQueryResult>(
    database: &DatabaseConnection,
    table: &Table,
    column: &'static str,
    value: impl Into<Value>,
) -> Result<Vec<T>, DbErr> {
    let query = all(table)
        .and_where(Expr::col(column).eq(value.into()))
        .take();
    let rows = database.query_all(&query).await?;
    rows.iter()
        .map(|row| T::from_query_result(row, ""))
        .collect()
}

pub(crate) async fn count(
    database: &DatabaseConnection,
    mut query: SelectStatement,
) -> Result<u64, DbErr> {
    let query = query.expr(Func::count(Expr::col(Asterisk)));
    let row = database.query_one(query).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(count.unsigned_abs())
}
