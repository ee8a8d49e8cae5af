//! Holds a pair to its invariants, from outside: the topics as committed, both databases, and
//! what the clients were answered.
//!
//! Everything seen of an order becomes a [`fact::Fact`] in one of the [`spill::Spill`]'s files, by
//! the order's id; then file by file the facts of each order are put together and checked: one
//! file of 64 is in memory at a time. Products, and adjustments that were acknowledged, are few
//! and stay in memory.

mod answered;
mod fact;
mod invariants;
mod order;
mod report;
mod spill;
mod stock;
mod tables;
mod topics;

use std::path::PathBuf;

use anyhow::Context;
use shared::kafka::KafkaSettings;

use self::invariants::check_order;
pub use self::report::{Invariant, Line, Report};
use self::spill::Spill;
use self::stock::Stock;
use crate::kafka::Kafka;

/// Where to look.
#[derive(Debug, Clone)]
pub struct Pair {
    pub kafka: KafkaSettings,
    pub topics: Topics,
    /// As sea-orm takes it: `mysql://`, `postgres://` or `sqlite://`.
    pub orders_database: String,
    pub catalog_database: String,
    /// Files that [`crate::Recorder`] wrote.
    pub answers: Vec<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct Topics {
    pub orders: String,
    pub catalog_deltas: String,
    pub order_outcomes: String,
    /// Dead letters of the catalog-service; may be missing.
    pub delta_dead_letters: String,
    /// Dead letters of the sink; may be missing.
    pub sink_dead_letters: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            orders: "orders".to_owned(),
            catalog_deltas: "catalog_deltas".to_owned(),
            order_outcomes: "order_outcomes".to_owned(),
            delta_dead_letters: "catalog_deltas.dlq".to_owned(),
            sink_dead_letters: "orders-sink.dlq".to_owned(),
        }
    }
}

/// Hears how far a run is.
pub trait Progress {
    /// A source begins: its name, and how much is to be read, as far as that is known.
    fn begin(&self, what: &str, total: u64);
    fn advance(&self);
}

/// One look at everything. Topics are read before the databases: what is in a database without
/// being on a topic is then not just younger.
///
/// # Errors
/// What could not be read. A violation is no error: it is in the report.
pub async fn verify(pair: &Pair, progress: &impl Progress) -> anyhow::Result<Report> {
    let kafka = Kafka::new(pair.kafka.clone());
    kafka
        .ping()
        .context("the topics cannot be read: does a broker run there (--bootstrap-servers)?")?;
    let mut report = Report::default();
    let mut spill = Spill::new()?;
    let mut stock = Stock::default();
    topics::read(&kafka, &pair.topics, &mut spill, &mut report, progress).await?;
    tables::read_orders(&pair.orders_database, &mut spill, &mut report, progress).await?;
    tables::read_catalog(&pair.catalog_database, &mut spill, &mut stock, progress).await?;
    answered::read(&pair.answers, &mut spill, &mut stock, &mut report)?;
    stock.check(&mut report);
    progress.begin("orders", spill.len());
    spill.for_each_order(|id, facts| {
        facts.iter().for_each(|_| progress.advance());
        check_order(id, &order::Seen::from(facts), &mut report);
    })?;
    Ok(report)
}
