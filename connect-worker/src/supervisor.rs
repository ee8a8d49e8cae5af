//! Runs the tasks of the registered connectors.
//!
//! A connector is a configuration and a target state; its tasks follow from both. Changes
//! are made one at a time, while anybody may read the state.

mod connector;
mod runner;
pub mod status;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use shared::kafka::KafkaSettings;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::connector::Connector;
use self::status::{ConnectorInfo, ConnectorStatus, TaskInfo, TaskReport};
use crate::config::{Class, ConfigErrors, SinkConfig, masked, unmasked};
use crate::env::{EnvSource, Properties};
use crate::sink::SinkMetrics;
use crate::store::ConnectorStore;

pub use self::connector::Target;

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
}

/// What a connector's tasks are made with.
struct Environment {
    env: EnvSource,
    kafka: KafkaSettings,
    metrics: SinkMetrics,
    /// HTTP handlers run on threads of their own; tasks do not.
    runtime: Handle,
}

pub struct Supervisor {
    environment: Environment,
    store: ConnectorStore,
    connectors: RwLock<BTreeMap<String, Connector>>,
    /// Held by whoever changes something.
    change: tokio::sync::Mutex<()>,
    worker_id: OnceLock<String>,
}

impl Supervisor {
    /// Its tasks run on the runtime of the caller.
    pub fn new(env: EnvSource, kafka: KafkaSettings, metrics: SinkMetrics) -> Arc<Self> {
        let environment = Environment {
            env,
            kafka,
            metrics,
            runtime: Handle::current(),
        };
        Arc::new(Self {
            environment,
            store: ConnectorStore::default(),
            connectors: RwLock::default(),
            change: tokio::sync::Mutex::default(),
            worker_id: OnceLock::new(),
        })
    }

    /// The worker's address is its id, as in Connect.
    pub fn serves_at(&self, address: SocketAddr) {
        self.worker_id.get_or_init(|| address.to_string());
    }

    /// Lives until the signal, then stops every task.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), std::io::Error> {
        stop.cancelled().await;
        let _change = self.change.lock().await;
        let connectors = std::mem::take(&mut *self.connectors.write());
        for connector in connectors.into_values() {
            connector.stop().await;
        }
        Ok(())
    }

    pub fn names(&self) -> Vec<String> {
        self.store.names()
    }

    pub fn config(&self, name: &str) -> Result<Properties, SupervisorError> {
        self.store
            .get(name)
            .map(|properties| masked(&properties))
            .ok_or_else(|| not_found(name))
    }

    pub fn info(&self, name: &str) -> Result<ConnectorInfo, SupervisorError> {
        let properties = self.store.get(name).ok_or_else(|| not_found(name))?;
        let kind = Class::of(&properties).map_err(invalid)?.kind();
        let tasks = self.connectors.read().get(name).map_or(0, Connector::tasks);
        Ok(ConnectorInfo::new(name, masked(&properties), tasks, kind))
    }

    pub fn status(&self, name: &str) -> Result<ConnectorStatus, SupervisorError> {
        let info = self.info(name).map_err(|_| no_status(name))?;
        let worker_id = self.worker_id();
        Ok(match self.connectors.read().get(name) {
            Some(connector) => connector.status(name, worker_id, info.kind),
            None => ConnectorStatus::restarting(name, worker_id, info.kind),
        })
    }

    pub fn task_status(&self, name: &str, task: usize) -> Result<TaskReport, SupervisorError> {
        let no_status =
            || SupervisorError::NotFound(format!("No status found for task {name}-{task}"));
        let tasks = self.status(name).map_err(|_| no_status())?.tasks;
        tasks
            .into_iter()
            .find(|report| report.id == task)
            .ok_or_else(no_status)
    }

    pub fn tasks(&self, name: &str) -> Result<Vec<TaskInfo>, SupervisorError> {
        let info = self.info(name)?;
        let task = |id| TaskInfo {
            id,
            config: info.config.clone(),
        };
        Ok(info.tasks.iter().cloned().map(task).collect())
    }

    pub async fn create(
        &self,
        name: &str,
        properties: Properties,
        target: Target,
    ) -> Result<ConnectorInfo, SupervisorError> {
        let change = self.change.lock().await;
        let properties = named(name, properties)?;
        self.validate(&properties)?;
        if self.store.get(name).is_some() {
            return Err(SupervisorError::AlreadyExists(name.to_owned()));
        }
        self.start(name, properties, target);
        drop(change);
        self.info(name)
    }

    /// Creates or replaces; whether it was created. The same configuration again changes
    /// nothing.
    pub async fn put(
        &self,
        name: &str,
        properties: Properties,
    ) -> Result<(ConnectorInfo, bool), SupervisorError> {
        let change = self.change.lock().await;
        let mut properties = named(name, properties)?;
        let previous = self.store.get(name);
        if let Some(previous) = &previous {
            unmasked(&mut properties, previous);
        }
        self.validate(&properties)?;
        if previous.as_ref() != Some(&properties) {
            let target = match self.take(name) {
                Some(connector) => connector.stop().await,
                None => Target::Running,
            };
            self.start(name, properties, target);
        }
        drop(change);
        Ok((self.info(name)?, previous.is_none()))
    }

    pub async fn delete(&self, name: &str) -> Result<(), SupervisorError> {
        let _change = self.change.lock().await;
        self.store.get(name).ok_or_else(|| not_found(name))?;
        self.store.remove(name);
        if let Some(connector) = self.take(name) {
            connector.stop().await;
        }
        Ok(())
    }

    pub async fn set_target(&self, name: &str, target: Target) -> Result<(), SupervisorError> {
        let _change = self.change.lock().await;
        let properties = self.store.get(name).ok_or_else(|| no_target(name))?;
        let current = self.connectors.read().get(name).map(Connector::target);
        if current != Some(target) {
            if let Some(connector) = self.take(name) {
                connector.stop().await;
            }
            self.start(name, properties, target);
        }
        Ok(())
    }

    /// Restarts tasks, and a connector that could not be set up at all. `only_failed`
    /// leaves alone what runs.
    pub async fn restart(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<(), SupervisorError> {
        let _change = self.change.lock().await;
        let properties = self.store.get(name).ok_or_else(|| no_restart(name))?;
        let Some(mut connector) = self.take(name) else {
            return Ok(());
        };
        if connector.is_failed() {
            let target = connector.stop().await;
            self.start(name, properties, target);
            return Ok(());
        }
        if include_tasks {
            connector
                .restart_tasks(&self.environment, only_failed)
                .await;
        }
        self.connectors.write().insert(name.to_owned(), connector);
        Ok(())
    }

    pub async fn restart_task(&self, name: &str, task: usize) -> Result<(), SupervisorError> {
        let _change = self.change.lock().await;
        let mut connector = self.take(name).ok_or_else(|| no_restart(name))?;
        let restarted = connector.restart_task(&self.environment, task).await;
        self.connectors.write().insert(name.to_owned(), connector);
        let unknown = || SupervisorError::NotFound(format!("Unknown task: {name}-{task}"));
        restarted.then_some(()).ok_or_else(unknown)
    }

    fn start(&self, name: &str, properties: Properties, target: Target) {
        let connector = Connector::start(&self.environment, name, &properties, target);
        self.store.put(name, properties);
        self.connectors.write().insert(name.to_owned(), connector);
    }

    fn take(&self, name: &str) -> Option<Connector> {
        self.connectors.write().remove(name)
    }

    /// As far as the placeholders can be filled in: where a variable is not set, the
    /// connector fails when it starts, and says which.
    fn validate(&self, properties: &Properties) -> Result<(), SupervisorError> {
        Class::of(properties).map_err(|errors| SupervisorError::BadRequest(errors.to_string()))?;
        let resolved = self.environment.env.resolve(properties);
        if resolved.missing.is_empty() {
            SinkConfig::parse(&resolved.properties).map_err(invalid)?;
        }
        Ok(())
    }

    fn worker_id(&self) -> &str {
        self.worker_id.get().map_or("", String::as_str)
    }
}

fn invalid(errors: ConfigErrors) -> SupervisorError {
    SupervisorError::Invalid { errors }
}

// Connect says the same thing in many ways.

fn not_found(name: &str) -> SupervisorError {
    SupervisorError::NotFound(format!("Connector {name} not found"))
}

fn no_status(name: &str) -> SupervisorError {
    SupervisorError::NotFound(format!("No status found for connector {name}"))
}

fn no_target(name: &str) -> SupervisorError {
    SupervisorError::NotFound(format!("Unknown connector {name}"))
}

fn no_restart(name: &str) -> SupervisorError {
    SupervisorError::NotFound(format!("Unknown connector: {name}"))
}

/// The name is part of the configuration, and the same there.
fn named(name: &str, mut properties: Properties) -> Result<Properties, SupervisorError> {
    if name.trim().is_empty() {
        return Err(SupervisorError::BadRequest(
            "Connector name may not be blank".to_owned(),
        ));
    }
    let inside = properties
        .entry("name".to_owned())
        .or_insert_with(|| name.to_owned());
    if inside != name {
        return Err(SupervisorError::BadRequest(format!(
            "Connector name configuration ({inside}) doesn't match connector name in the URL ({name})"
        )));
    }
    Ok(properties)
}
