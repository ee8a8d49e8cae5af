use anyhow::Context;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, QueryResult};
use shared::contract::{Order, OrderId, Outcome, ProductId, UserId};
use shared::database::ConnectError;

use super::Progress;
use super::fact::{Decision, Fact, Movement, Place, What};
use super::report::{Invariant, Report};
use super::spill::Spill;
use super::stock::Stock;
use crate::database::{
    LedgerRow, ORDER_OUTCOMES, ORDERS, OrderRow, OutcomeRow, STOCK_LEDGER, Table, count, open,
};

/// Rows of one query.
const PAGE: u64 = 5_000;

pub(super) async fn read_orders(
    url: &str,
    spill: &mut Spill,
    report: &mut Report,
    progress: &impl Progress,
) -> anyhow::Result<()> {
    let database = open(url)
        .await
        .map_err(ConnectError::from)
        .context("the orders database (--orders-database) cannot be read")?;
    pages(&database, &ORDERS, progress, |key, row| match order(row) {
        Some(order) => put(spill, &ORDERS, order.id, What::OrderRow(order)),
        None => {
            stranger(report, &ORDERS, key);
            Ok(())
        }
    })
    .await?;
    pages(
        &database,
        &ORDER_OUTCOMES,
        progress,
        |key, row| match outcome(row) {
            Some(fact) => {
                let what = What::OutcomeRow(Decision::from(fact));
                put(spill, &ORDER_OUTCOMES, fact.order_id, what)
            }
            None => {
                stranger(report, &ORDER_OUTCOMES, key);
                Ok(())
            }
        },
    )
    .await?;
    Ok(database.close().await?)
}

pub(super) async fn read_catalog(
    url: &str,
    spill: &mut Spill,
    stock: &mut Stock,
    progress: &impl Progress,
) -> anyhow::Result<()> {
    let database = open(url)
        .await
        .map_err(ConnectError::from)
        .context("the catalog database (--catalog-database) cannot be read")?;
    let query = Query::select()
        .columns(["product_id", "qty"])
        .from("stock")
        .take();
    for row in database.query_all(&query).await? {
        stock.product(row.try_get("", "product_id")?, row.try_get("", "qty")?);
    }
    pages(&database, &STOCK_LEDGER, progress, |_, row| {
        let row = LedgerRow::from_query_result(row, "")?;
        stock.moved(&row);
        if let Some((id, movement)) = movement(&row)? {
            put(spill, &STOCK_LEDGER, id, What::Movement(movement))?;
        }
        Ok(())
    })
    .await?;
    Ok(database.close().await?)
}

fn put(spill: &mut Spill, table: &Table, id: OrderId, what: What) -> anyhow::Result<()> {
    let place = Place::Row(table.name.to_owned());
    spill.put(&Fact { id, place, what })
}

/// What no service writes is not in step with any topic.
fn stranger(report: &mut Report, table: &Table, key: &[String]) {
    let fault = format!("table {} has a row that no service writes", table.name);
    report.checked(Invariant::InStep, key.join(" "), vec![fault]);
}

/// Calls with every row of a table once, and its primary key.
async fn pages(
    database: &DatabaseConnection,
    table: &Table,
    progress: &impl Progress,
    mut each: impl FnMut(&[String], &QueryResult) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let all = Query::select().from(table.name).take();
    progress.begin(
        &format!("table {}", table.name),
        count(database, all).await?,
    );
    let mut query = first_page(table);
    loop {
        let rows = database.query_all(&query).await?;
        let mut last = None;
        for row in rows {
            let column = |name: &&str| row.try_get::<String>("", name);
            let key = table
                .key
                .iter()
                .map(column)
                .collect::<Result<Vec<_>, _>>()?;
            progress.advance();
            each(&key, &row)?;
            last = Some(key);
        }
        let Some(key) = last else {
            return Ok(());
        };
        query = first_page(table).and_where(after(table.key, &key)).take();
    }
}

fn first_page(table: &Table) -> SelectStatement {
    let mut query = Query::select();
    query
        .columns(table.columns.iter().copied())
        .from(table.name);
    for column in table.key {
        query.order_by(*column, sea_orm::Order::Asc);
    }
    query.limit(PAGE).take()
}

/// The rows behind this key. The first condition of two bounds the index scan.
fn after(columns: &[&'static str], key: &[String]) -> Expr {
    match (columns, key) {
        ([first, rest @ ..], [value, values @ ..]) if !rest.is_empty() => {
            let ties = Expr::col(*first).gt(value.clone()).or(after(rest, values));
            Expr::col(*first).gte(value.clone()).and(ties)
        }
        ([only], [value]) => Expr::col(*only).gt(value.clone()),
        _ => Expr::value(false),
    }
}

fn order(row: &QueryResult) -> Option<Order> {
    let row = OrderRow::from_query_result(row, "").ok()?;
    Some(Order {
        id: row.id,
        user_id: UserId(row.user_id),
        product_id: ProductId(row.product_id),
        qty: row.qty,
        unit_price: row.unit_price,
        total_price: row.total_price,
        created_at: row.created_at,
        idempotency_key: row.idempotency_key,
    })
}

fn outcome(row: &QueryResult) -> Option<Outcome> {
    let row = OutcomeRow::from_query_result(row, "").ok()?;
    let kind = row.id.strip_prefix(&format!("{}:", row.order_id))?;
    Some(Outcome {
        order_id: row.order_id,
        kind: kind.parse().ok()?,
        status: row.status.parse().ok()?,
        reason: row.reason.as_deref().map(str::parse).transpose().ok()?,
        decided_at: row.decided_at,
    })
}

/// `None` for a row that is of no order.
fn movement(row: &LedgerRow) -> anyhow::Result<Option<(OrderId, Movement)>> {
    let Ok(kind) = row.kind.parse() else {
        return Ok(None);
    };
    let not_ours = || {
        format!(
            "stock_ledger, {} {}: no row of ours",
            row.reference, row.kind
        )
    };
    let decision = row.status.as_deref().map(|status| {
        let reason = row.reason.as_deref().map(str::parse).transpose()?;
        Ok::<_, anyhow::Error>(Decision {
            kind,
            status: status.parse()?,
            reason,
            decided_at_ms: row.decided_at.millis(),
        })
    });
    let movement = Movement {
        kind,
        product_id: row.product_id,
        delta: row.delta,
        decision: decision.transpose().with_context(not_ours)?,
    };
    Ok(Some((
        row.reference.parse().with_context(not_ours)?,
        movement,
    )))
}
