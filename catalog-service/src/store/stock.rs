use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult};
use shared::contract::ProductId;

use super::{lists, pieces};
use crate::entities::{Product, Stock};

const COLUMNS: [Stock; 5] = [
    Stock::ProductId,
    Stock::Name,
    Stock::UnitPrice,
    Stock::Qty,
    Stock::UpdatedAt,
];

/// Which products to list, in the order of their ids.
#[derive(Debug, Clone, Copy)]
pub struct StockPage {
    pub after: Option<ProductId>,
    pub limit: u64,
}

/// Locks the rows in the order of their ids, so that two batches cannot deadlock.
/// Products that are not in stock are absent.
pub async fn lock_products(
    transaction: &DatabaseTransaction,
    ids: &BTreeSet<ProductId>,
) -> Result<BTreeMap<ProductId, Product>, DbErr> {
    let ids: Vec<_> = ids.iter().copied().collect();
    let mut products = BTreeMap::new();
    for ids in lists(&ids) {
        let statement = select()
            .and_where(Expr::col(Stock::ProductId).is_in(ids))
            .order_by(Stock::ProductId, Order::Asc)
            .lock(LockType::Update)
            .take();
        for product in all(transaction, &statement).await? {
            products.insert(product.product_id, product);
        }
    }
    Ok(products)
}

/// Writes the quantities of products whose rows the transaction has locked.
pub async fn write_quantities(
    transaction: &DatabaseTransaction,
    products: &[Product],
) -> Result<(), DbErr> {
    let backend = transaction.get_database_backend();
    for products in pieces(products) {
        // The rows exist, so this is the multi-row update that all databases share.
        let conflict = OnConflict::column(Stock::ProductId)
            .update_columns([Stock::Qty, Stock::UpdatedAt])
            .to_owned();
        let statement = Query::insert()
            .into_table(Stock::Table)
            .columns(COLUMNS)
            .values_from_panic(products.iter().map(|product| values(product, backend)))
            .on_conflict(conflict)
            .take();
        transaction.execute(&statement).await?;
    }
    Ok(())
}

pub async fn insert_product(
    transaction: &DatabaseTransaction,
    product: &Product,
) -> Result<(), DbErr> {
    let statement = Query::insert()
        .into_table(Stock::Table)
        .columns(COLUMNS)
        .values_from_panic([values(product, transaction.get_database_backend())])
        .take();
    transaction.execute(&statement).await.map(drop)
}

/// Renames and reprices; the quantity stays what the ledger says.
pub async fn update_details(
    transaction: &DatabaseTransaction,
    product: &Product,
) -> Result<(), DbErr> {
    let updated_at = product
        .updated_at
        .to_value(transaction.get_database_backend());
    let statement = Query::update()
        .table(Stock::Table)
        .value(Stock::Name, product.name.as_str())
        .value(Stock::UnitPrice, product.unit_price)
        .value(Stock::UpdatedAt, updated_at)
        .and_where(Expr::col(Stock::ProductId).eq(product.product_id))
        .take();
    transaction.execute(&statement).await.map(drop)
}

pub async fn find_product(
    db: &impl ConnectionTrait,
    id: ProductId,
) -> Result<Option<Product>, DbErr> {
    let statement = select()
        .and_where(Expr::col(Stock::ProductId).eq(id))
        .take();
    Ok(all(db, &statement).await?.pop())
}

pub async fn list_products(
    db: &impl ConnectionTrait,
    page: StockPage,
) -> Result<Vec<Product>, DbErr> {
    let mut statement = select();
    if let Some(after) = page.after {
        statement.and_where(Expr::col(Stock::ProductId).gt(after));
    }
    statement
        .order_by(Stock::ProductId, Order::Asc)
        .limit(page.limit);
    all(db, &statement).await
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS).from(Stock::Table).take()
}

async fn all(
    db: &impl ConnectionTrait,
    statement: &SelectStatement,
) -> Result<Vec<Product>, DbErr> {
    let rows = db.query_all(statement).await?;
    rows.iter()
        .map(|row| Product::from_query_result(row, ""))
        .collect()
}

/// In the order of [`COLUMNS`].
fn values(product: &Product, backend: DbBackend) -> [Expr; 5] {
    [
        product.product_id.into(),
        product.name.as_str().into(),
        product.unit_price.into(),
        product.qty.into(),
        product.updated_at.to_value(backend).into(),
    ]
}
