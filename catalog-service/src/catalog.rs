//! What people and back offices do to stock, each in one transaction with its ledger row.

use prometheus_client::metrics::counter::Counter;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};
use shared::contract::{ProductId, Timestamp};

use crate::entities::{Entry, EntryKind, Product, Reference};
use crate::store::{self, Fault, Patience};

/// The most of a product that can be in stock by hand.
pub const MAX_STOCK: i64 = 1_000_000_000_000;
/// The most that one adjustment can move.
pub const MAX_ADJUSTMENT: i64 = 1_000_000_000;
/// The highest price: the largest integer that every JSON reader takes exactly.
pub const MAX_PRICE: i64 = (1 << 53) - 1;

/// A product's details, checked; `qty` only counts if the product is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDetails {
    pub(crate) product_id: ProductId,
    pub(crate) name: String,
    pub(crate) unit_price: i64,
    pub(crate) qty: i64,
}

/// A restock or a write-off, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    pub(crate) product_id: ProductId,
    pub(crate) key: String,
    pub(crate) delta: i64,
    pub(crate) reason: String,
}

/// Whether a write did something, or found it done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<T> {
    New(T),
    Existing(T),
}

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("there is no product {0}")]
    UnknownProduct(ProductId),
    #[error("product {product_id} has {qty} in stock, which {delta} would take below zero")]
    BelowZero {
        product_id: ProductId,
        qty: i64,
        delta: i64,
    },
    #[error("product {product_id} has {qty} in stock; {delta} would take it above {MAX_STOCK}")]
    AboveMaximum {
        product_id: ProductId,
        qty: i64,
        delta: i64,
    },
    #[error("this Idempotency-Key came with another delta or reason before")]
    KeyReused,
    #[error(transparent)]
    Database(#[from] DbErr),
    /// It broke while it committed.
    #[error("the database has not confirmed the change; it may have been made")]
    OutcomeUnknown(#[source] DbErr),
}

/// The catalog as the HTTP API writes it.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub db: DatabaseConnection,
    /// Transactions begun again after a rival's.
    pub conflicts: Counter,
}

impl Catalog {
    /// Creates a product, with its first quantity as the ledger's `initial` row, or
    /// renames and reprices it.
    pub async fn put(&self, details: &ProductDetails) -> Result<Written<Product>, CatalogError> {
        let mut patience = Patience::new(&self.conflicts);
        loop {
            match self.try_put(details).await {
                Err(CatalogError::Database(error)) if patience.outlasts(&error).await => {}
                result => return result,
            }
        }
    }

    async fn try_put(&self, details: &ProductDetails) -> Result<Written<Product>, CatalogError> {
        let transaction = store::begin(&self.db).await?;
        let written = put(&transaction, details).await?;
        commit(transaction).await?;
        Ok(written)
    }

    /// Moves stock by hand, once per product and key.
    pub async fn adjust(&self, adjustment: &Adjustment) -> Result<Written<Entry>, CatalogError> {
        let mut patience = Patience::new(&self.conflicts);
        loop {
            match self.try_adjust(adjustment).await {
                Err(CatalogError::Database(error)) if patience.outlasts(&error).await => {}
                result => return result,
            }
        }
    }

    async fn try_adjust(&self, adjustment: &Adjustment) -> Result<Written<Entry>, CatalogError> {
        let transaction = store::begin(&self.db).await?;
        let written = adjust(&transaction, adjustment).await?;
        commit(transaction).await?;
        Ok(written)
    }
}

async fn commit(transaction: DatabaseTransaction) -> Result<(), CatalogError> {
    let committed = transaction.commit().await;
    committed.map_err(|error| match Fault::of(&error) {
        Fault::Broken => CatalogError::OutcomeUnknown(error),
        Fault::Conflict | Fault::Data => CatalogError::Database(error),
    })
}

async fn put(
    transaction: &DatabaseTransaction,
    details: &ProductDetails,
) -> Result<Written<Product>, DbErr> {
    let id = details.product_id;
    let known = store::lock_products(transaction, &[id].into())
        .await?
        .remove(&id);
    let product = Product {
        product_id: id,
        name: details.name.clone(),
        unit_price: details.unit_price,
        qty: known.as_ref().map_or(details.qty, |known| known.qty),
        updated_at: Timestamp::now(),
    };
    if known.is_some() {
        store::update_details(transaction, &product).await?;
        return Ok(Written::Existing(product));
    }
    // Of two that create one product, the second fails here, and begins again.
    store::insert_product(transaction, &product).await?;
    let initial = Entry {
        reference: Reference::initial(id),
        kind: EntryKind::Initial,
        product_id: id,
        delta: product.qty,
        status: None,
        reason: None,
        decided_at: product.updated_at,
    };
    store::insert_entries(transaction, &[initial]).await?;
    Ok(Written::New(product))
}

async fn adjust(
    transaction: &DatabaseTransaction,
    adjustment: &Adjustment,
) -> Result<Written<Entry>, CatalogError> {
    let id = adjustment.product_id;
    let locked = store::lock_products(transaction, &[id].into())
        .await?
        .remove(&id);
    let product = locked.ok_or(CatalogError::UnknownProduct(id))?;
    let reference = Reference::adjustment(id, &adjustment.key);
    if let Some(entry) = store::find_entry(transaction, &reference, EntryKind::Adjust).await? {
        return same_adjustment(entry, adjustment);
    }
    let qty = new_quantity(&product, adjustment.delta)?;
    let now = Timestamp::now();
    let entry = Entry {
        reference,
        kind: EntryKind::Adjust,
        product_id: id,
        delta: adjustment.delta,
        status: None,
        reason: Some(adjustment.reason.clone()),
        decided_at: now,
    };
    store::insert_entries(transaction, std::slice::from_ref(&entry)).await?;
    let product = Product {
        qty,
        updated_at: now,
        ..product
    };
    store::write_quantities(transaction, &[product]).await?;
    Ok(Written::New(entry))
}

fn same_adjustment(entry: Entry, adjustment: &Adjustment) -> Result<Written<Entry>, CatalogError> {
    let same = entry.delta == adjustment.delta
        && entry.reason.as_deref() == Some(adjustment.reason.as_str());
    if same {
        Ok(Written::Existing(entry))
    } else {
        Err(CatalogError::KeyReused)
    }
}

fn new_quantity(product: &Product, delta: i64) -> Result<i64, CatalogError> {
    let Product {
        product_id, qty, ..
    } = *product;
    match qty.saturating_add(delta) {
        new if new < 0 => Err(CatalogError::BelowZero {
            product_id,
            qty,
            delta,
        }),
        new if new > MAX_STOCK && delta > 0 => Err(CatalogError::AboveMaximum {
            product_id,
            qty,
            delta,
        }),
        new => Ok(new),
    }
}
