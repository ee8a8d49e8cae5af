//! Rows from memory, many in a statement: what the readers' limits are made of.

use anyhow::Context;
use migrations::Database;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};
use shared::contract::{Order, OrderId, ProductId, Timestamp, UserId};
use shared::database;
use shared::settings::DatabaseSettings;

use crate::PRODUCTS;

/// The stack's database server.
pub(crate) fn server() -> anyhow::Result<String> {
    std::env::var("STACK_MARIADB").context("run it as `cargo xtask bench`")
}

/// A database made anew, with the tables of one of the pair's; one connection to it.
pub(crate) async fn database(name: &str, tables: Database) -> anyhow::Result<DatabaseConnection> {
    let server = server()?;
    let admin = database::connect(&DatabaseSettings::at(&server)).await?;
    let anew = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}");
    admin.execute_unprepared(&anew).await?;
    admin.close().await?;
    let one = DatabaseSettings {
        max_connections: 1,
        ..DatabaseSettings::at(&format!("{server}/{name}"))
    };
    let db = database::connect(&one).await?;
    migrations::up(&db, tables).await?;
    Ok(db)
}

pub(crate) async fn drop_database(db: DatabaseConnection, name: &str) -> anyhow::Result<()> {
    db.execute_unprepared(&format!("DROP DATABASE {name}"))
        .await?;
    Ok(db.close().await?)
}

/// The products take turns.
pub(crate) fn product(number: usize) -> anyhow::Result<ProductId> {
    Ok(ProductId(i64::try_from(number % PRODUCTS)? + 1))
}

pub(crate) fn order(number: usize) -> anyhow::Result<Order> {
    Ok(Order {
        id: OrderId::random(),
        user_id: UserId(1),
        product_id: product(number)?,
        qty: 1,
        unit_price: 100,
        total_price: 100,
        created_at: Timestamp::now(),
        idempotency_key: None,
    })
}

/// What the sink writes of orders.
pub(crate) fn upsert_orders(orders: &[Order]) -> Statement {
    const COLUMNS: [&str; 8] = [
        "id",
        "user_id",
        "product_id",
        "qty",
        "unit_price",
        "total_price",
        "created_at",
        "idempotency_key",
    ];
    let rows = orders.iter().map(|order| -> [Value; 8] {
        [
            order.id.to_string().into(),
            order.user_id.0.into(),
            order.product_id.0.into(),
            order.qty.into(),
            order.unit_price.into(),
            order.total_price.into(),
            order.created_at.to_value(DbBackend::MySql),
            order.idempotency_key.clone().into(),
        ]
    });
    insert("orders", COLUMNS, rows, &COLUMNS[1..])
}

/// One statement; a row that is there already takes over the columns of `update`.
pub(crate) fn insert<const N: usize>(
    table: &str,
    columns: [&str; N],
    rows: impl ExactSizeIterator<Item = [Value; N]>,
    update: &[&str],
) -> Statement {
    insert_as(table, &columns, &["?"; N].join(", "), rows, update)
}

/// As [`insert`], of rows with this text, in which only the question marks are bound.
pub(crate) fn insert_as<const N: usize>(
    table: &str,
    columns: &[&str],
    row: &str,
    rows: impl ExactSizeIterator<Item = [Value; N]>,
    update: &[&str],
) -> Statement {
    let mut sql = format!(
        "INSERT INTO {table} ({}) VALUES {}",
        columns.join(", "),
        vec![format!("({row})"); rows.len()].join(", ")
    );
    if !update.is_empty() {
        let update: Vec<_> = update
            .iter()
            .map(|name| format!("{name} = VALUES({name})"))
            .collect();
        sql += &format!(" ON DUPLICATE KEY UPDATE {}", update.join(", "));
    }
    Statement::from_sql_and_values(DbBackend::MySql, sql, rows.flatten())
}
