//! The tables of the catalog database, which `migrations` owns.

mod product;
mod stock_ledger;

pub use product::{Product, Stock};
pub use stock_ledger::{Entry, EntryKind, Reference, StockLedger};
