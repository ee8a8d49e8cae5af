use rdkafka::error::KafkaError;

use crate::config::ConfigErrors;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    #[error("{0}")]
    NotFound(String),
    #[error("Connector {0} already exists")]
    AlreadyExists(String),
    #[error(
        "Connector configuration is invalid and contains the following {count} error(s):\n{errors}\n\
         You can also find the above list of errors at the endpoint \
         `/connector-plugins/{{connectorType}}/config/validate`",
        count = errors.0.len()
    )]
    Invalid { errors: ConfigErrors },
    #[error("{0}")]
    BadRequest(String),
    #[error(
        "This worker stands by for {0}: ask the worker that runs the connectors, or wait until this one takes over"
    )]
    Standby(String),
    /// The connector, and why it cannot be set up.
    #[error("Connector {0} cannot start: {1}")]
    Unusable(String, String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was asked of the broker, and what it said.
    #[error("{0}: {1}")]
    Broker(String, #[source] KafkaError),
}

pub(super) fn invalid(errors: ConfigErrors) -> SupervisorError {
    SupervisorError::Invalid { errors }
}

/// An error other than "unknown" keeps its own words.
pub(super) fn unless_unknown(
    unknown: SupervisorError,
) -> impl FnOnce(SupervisorError) -> SupervisorError {
    |error| match error {
        SupervisorError::NotFound(_) => unknown,
        other => other,
    }
}

// Connect says the same thing in many ways.

pub(super) fn not_found(name: &str) -> SupervisorError {
    SupervisorError::NotFound(format!("Connector {name} not found"))
}

pub(super) fn no_status(name: &str) -> SupervisorError {
    SupervisorError::NotFound(format!("No status found for connector {name}"))
}

pub(super) fn no_target(name: &str) -> SupervisorError {
    SupervisorError::NotFound(format!("Unknown connector {name}"))
}

pub(super) fn no_restart(name: &str) -> SupervisorError {
    SupervisorError::NotFound(format!("Unknown connector: {name}"))
}
