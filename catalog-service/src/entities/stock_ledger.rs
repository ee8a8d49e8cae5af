use std::fmt;

use sea_orm::{
    DbErr, DeriveActiveEnum, DeriveIden, DeriveValueType, EnumIter, FromQueryResult, QueryResult,
    sea_query::StringLen,
};
use serde::Serialize;
use shared::contract::{DeltaKind, OrderId, ProductId, Status, Timestamp};
use utoipa::ToSchema;

/// The table `stock_ledger`: one row per change of stock, never updated, never deleted.
#[derive(Debug, Clone, Copy, DeriveIden)]
pub enum StockLedger {
    Table,
    Reference,
    Kind,
    ProductId,
    Delta,
    Status,
    Reason,
    DecidedAt,
}

/// What changed the stock.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema, EnumIter, DeriveActiveEnum,
)]
#[serde(rename_all = "lowercase")]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::N(8))",
    rename_all = "lowercase"
)]
pub enum EntryKind {
    /// The quantity a product was created with.
    Initial,
    /// A restock or a write-off.
    Adjust,
    /// An order asked for stock.
    Reserve,
    /// A cancelled order gave stock back.
    Release,
}

impl From<DeltaKind> for EntryKind {
    fn from(kind: DeltaKind) -> Self {
        match kind {
            DeltaKind::Reserve => Self::Reserve,
            DeltaKind::Release => Self::Release,
        }
    }
}

/// The natural key, with the kind, of a change: what makes repeating it harmless.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema, DeriveValueType,
)]
#[serde(transparent)]
pub struct Reference(String);

impl Reference {
    /// Of a `reserve` or a `release`.
    pub fn order(id: OrderId) -> Self {
        Self(id.to_string())
    }

    /// Of an `adjust`: keys belong to a product, so that one restocking job can use one
    /// key for all of them.
    pub fn adjustment(product: ProductId, idempotency_key: &str) -> Self {
        Self(format!("{product}:{idempotency_key}"))
    }

    /// Of an `initial`: a product begins once.
    pub fn initial(product: ProductId) -> Self {
        Self(product.to_string())
    }

    /// `None` for what cannot be a reference of ours.
    pub(crate) fn from_cursor(text: &str) -> Option<Self> {
        let plausible = text.len() <= 300 && text.bytes().all(|byte| byte.is_ascii_graphic());
        plausible.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Entry {
    /// The order's id, or the product and the key of the adjustment.
    #[schema(value_type = String, example = "1:restock-2026-11-24")]
    pub reference: Reference,
    #[schema(example = "adjust")]
    pub kind: EntryKind,
    #[schema(example = 1)]
    pub product_id: ProductId,
    /// What it changed; 0 for a reservation that was rejected.
    #[schema(example = 50)]
    pub delta: i64,
    /// The order's decision: `CONFIRMED`, `REJECTED` or `CANCELLED`.
    #[schema(required)]
    pub status: Option<Status>,
    /// Why an order was rejected, or the text of an adjustment.
    #[schema(example = "restock", required)]
    pub reason: Option<String>,
    pub decided_at: Timestamp,
}

impl FromQueryResult for Entry {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let status: Option<String> = row.try_get(prefix, "status")?;
        Ok(Self {
            reference: row.try_get(prefix, "reference")?,
            kind: row.try_get(prefix, "kind")?,
            product_id: row.try_get(prefix, "product_id")?,
            delta: row.try_get(prefix, "delta")?,
            status: status
                .map(|text| text.parse())
                .transpose()
                .map_err(|error| DbErr::Type(format!("stock_ledger.status: {error}")))?,
            reason: row.try_get(prefix, "reason")?,
            decided_at: row.try_get(prefix, "decided_at")?,
        })
    }
}
