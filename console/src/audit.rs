//! Follows every order from its record to its rows, and holds it to the invariants.
//!
//! An order is *open* from the first record seen of it until its records, its ledger row and
//! its rows in the orders database agree; then it is forgotten, so that what this costs goes
//! with the rate of orders, not with their number. What is merely late is open; what
//! contradicts itself is a violation, and so is what is missing, once the topics could be read for
//! long enough to have seen it. `verify` reads everything from the beginning; this begins
//! with the console.

mod book;
mod follower;
mod judge;
mod promise;
mod prover;
pub(crate) mod rows;
mod sight;

pub(crate) use book::Audit;
pub(crate) use follower::Follower;
pub(crate) use promise::Answer;
pub(crate) use prover::Prover;

/// As numbered in ARCHITECTURE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    Acknowledged = 1,
    Refused = 2,
    Atomic = 3,
    Stock = 4,
    Decided = 5,
    InStep = 6,
}

impl Invariant {
    const ALL: [Self; 6] = [
        Self::Acknowledged,
        Self::Refused,
        Self::Atomic,
        Self::Stock,
        Self::Decided,
        Self::InStep,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Acknowledged => "Acknowledged orders are committed",
            Self::Refused => "Refused orders are nowhere",
            Self::Atomic => "Every order has its reservation, every reservation its order",
            Self::Stock => "Stock is the sum of its ledger, never below zero",
            Self::Decided => "Every order is decided once",
            Self::InStep => "The orders database is what the topics say",
        }
    }
}
