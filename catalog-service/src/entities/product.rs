use sea_orm::{DeriveIden, FromQueryResult};
use serde::Serialize;
use shared::contract::{ProductId, Timestamp};
use utoipa::ToSchema;

/// The table `stock`.
#[derive(Debug, Clone, Copy, DeriveIden)]
pub enum Stock {
    Table,
    ProductId,
    Name,
    UnitPrice,
    Qty,
    UpdatedAt,
}

/// A product and how much of it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromQueryResult, ToSchema)]
pub struct Product {
    #[schema(example = 1)]
    pub product_id: ProductId,
    #[schema(example = "Espresso cup")]
    pub name: String,
    /// In minor units of the currency.
    #[schema(example = 1200)]
    pub unit_price: i64,
    /// Never negative; the sum of the product's ledger.
    #[schema(example = 100)]
    pub qty: i64,
    pub updated_at: Timestamp,
}
