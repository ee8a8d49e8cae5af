//! Takes orders over HTTP and writes nothing but Kafka records.
//!
//! A request goes through `routes` to the `publisher`, which commits an order and its
//! reservation in one transaction. Answers come from the `read_model` (the database
//! that a sink keeps in step) and the `tail` (what the sink has not written yet). The
//! `registrar` looks after the sink.

mod app;
mod asyncapi;
mod known_order;
mod metrics;
mod new_order;
mod number;
mod page;
mod publisher;
mod read_model;
mod registrar;
mod routes;
mod settings;
mod start;
mod tail;
mod visibility;

pub use asyncapi::asyncapi;
pub use routes::openapi;
pub use settings::{ConnectSettings, PublisherSettings, Settings, TailSettings, Topics};
pub use start::start;

/// The `producer` header of every record.
const PRODUCER: &str = concat!("order-service@", env!("CARGO_PKG_VERSION"));
