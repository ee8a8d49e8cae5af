//! What both services and the sink agree on: the records ([`contract`]), Kafka
//! Connect's JSON envelope ([`connect_json`]), and the plumbing around Kafka, HTTP,
//! databases, settings and telemetry. No business rule lives here.

pub mod asyncapi;
pub mod backoff;
pub mod connect_json;
pub mod contract;
mod crash_point;
pub mod database;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod service;
pub mod settings;
pub mod telemetry;
pub mod traces;

pub use crash_point::crash_point;
