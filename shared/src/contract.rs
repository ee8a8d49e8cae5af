//! The records the two services exchange; their byte formats are the public contract.
//!
//! `orders` and `order_outcomes` carry Kafka Connect's JSON envelope, so that any JDBC
//! sink can write them; `catalog_deltas` is plain JSON, since only our code reads it.

mod delta;
mod envelope;
mod ids;
mod order;
mod outcome;
mod schema;
mod timestamp;

pub use delta::{Delta, DeltaKind, MAX_QUANTITY};
pub use ids::{OrderId, ProductId, UserId};
pub use order::Order;
pub use outcome::{Outcome, Reason, Status};
pub use schema::ValueSchema;
pub use timestamp::Timestamp;

/// A record that does not keep the contract: bad data, never an infrastructure fault.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    #[error("not the JSON of the contract: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{field}: {problem}")]
    Field {
        field: &'static str,
        problem: String,
    },
}

impl ContractError {
    fn field(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Field {
            field,
            problem: problem.into(),
        }
    }
}
