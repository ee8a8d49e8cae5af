//! A sink task: records of topics become rows of tables.
//!
//! One [`Task::step`] takes a batch of records, converts each (`record`), works out the
//! statements (`plan`), writes them in one database transaction (`writer`), puts what can
//! never be written into the dead-letter topic (`dead_letters`), and has its offsets committed
//! soon. A crash repeats the batch, and what was written just before it, which upserts make harmless.

mod bind;
mod consumer;
mod dead_letters;
mod error;
mod group;
mod layout;
mod metrics;
mod pipeline;
mod plan;
mod record;
mod tables;
mod task;
mod writer;

pub(crate) use error::is_refusal;
pub use error::{BadRecord, Stage, TaskError};
pub(crate) use group::{Group, TopicPartition};
pub use metrics::SinkMetrics;
pub use pipeline::{BatchError, Pipeline, Written};
pub(crate) use task::open_database;
pub use task::{Step, Task, TaskId};
pub use writer::Progress;
