//! A worker as Kafka Connect's standalone script starts it: its properties and its
//! connectors come from files, and what its sources have read goes to one.

mod connector_file;
mod worker_file;

use std::path::PathBuf;

use crate::env::Properties;
use crate::settings::Settings;

pub use connector_file::{NewConnector, read_connector};
pub use worker_file::read_worker;

/// What a worker's properties say.
#[derive(Debug)]
pub struct WorkerFile {
    pub settings: Settings,
    /// What a connector takes over where it does not say otherwise: the keys of converters
    /// and `consumer.override.*`.
    pub defaults: Properties,
    /// Where the offsets of sources are kept.
    pub offsets: PathBuf,
    /// Keys that nothing is done with.
    pub ignored: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {path}: {problem}")]
    Unreadable { path: String, problem: String },
    #[error("{path}: {key}: {problem}")]
    Worker {
        path: String,
        key: String,
        problem: String,
    },
    #[error("{path}: {problem}")]
    Connector { path: String, problem: String },
}
