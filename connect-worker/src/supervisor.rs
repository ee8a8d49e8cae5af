//! Runs the tasks of the registered connectors.
//!
//! A connector is a configuration and a target state; its tasks follow from both. The
//! store holds what should be; `apply` makes it so, after a change by this worker or by
//! another one, on the worker that leads. Changes are made one at a time, while anybody
//! may read the state.

mod connector;
mod environment;
mod error;
mod letter_count;
mod offsets;
mod runner;
pub mod status;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use rdkafka::error::KafkaError;
use shared::backoff::retry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::connector::{Connector, configured};
use self::error::{invalid, no_restart, no_status, no_target, not_found, unless_unknown};
use self::status::{ConnectorInfo, ConnectorStatus, ConnectorTask, State, TaskInfo, TaskReport};
use crate::config::{Class, masked, unmasked};
use crate::dead_letters::SinkLetters;
use crate::env::Properties;
use crate::settings::StoreSettings;
use crate::store::{CompactedTopic, ConnectorStore, Entry, StoreError, follow_leadership};

pub use self::environment::Environment;
pub use self::error::SupervisorError;
pub use self::offsets::ConnectorOffset;
pub use self::validation::ConfigInfos;
pub use crate::store::Target;

pub struct Supervisor {
    environment: Environment,
    settings: StoreSettings,
    store: ConnectorStore,
    /// Whether the tasks run here.
    leads: watch::Sender<bool>,
    connectors: RwLock<BTreeMap<String, Connector>>,
    /// Held by whoever changes something.
    change: tokio::sync::Mutex<()>,
    worker_id: OnceLock<String>,
}

impl Supervisor {
    /// Without a store's topic it is alone, and forgets its connectors when it ends.
    pub fn new(environment: Environment, settings: StoreSettings) -> Arc<Self> {
        let alone = settings.configs_topic.is_empty();
        let store = match alone {
            true => ConnectorStore::in_memory(),
            false => ConnectorStore::in_topic(),
        };
        Arc::new(Self {
            environment,
            settings,
            store,
            leads: watch::Sender::new(alone),
            connectors: RwLock::default(),
            change: tokio::sync::Mutex::default(),
            worker_id: OnceLock::new(),
        })
    }

    /// The worker's address is its id, as in Connect.
    pub fn serves_at(&self, address: SocketAddr) {
        self.worker_id.get_or_init(|| address.to_string());
    }

    /// Runs what the store says until the signal, then stops every task.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), StoreError> {
        let election = CancellationToken::new();
        let electing = self.follow(election.clone(), &stop);
        let ended = match electing.await {
            Ok(None) => Ok(()),
            Ok(Some(electing)) => {
                self.serve(&stop).await;
                self.stop_all().await;
                // The next leader starts its tasks once ours have ended.
                election.cancel();
                electing.await.unwrap_or(Err(KafkaError::Canceled))
            }
            Err(error) => return Err(error),
        };
        self.stop_all().await;
        Ok(ended?)
    }

    /// Opens the store and stands for election; `None` if the signal came first.
    async fn follow(
        &self,
        election: CancellationToken,
        stop: &CancellationToken,
    ) -> Result<Option<JoinHandle<Result<(), KafkaError>>>, StoreError> {
        let ConnectorStore::Topic(store) = &self.store else {
            let alone = async move {
                election.cancelled().await;
                Ok(())
            };
            return Ok(Some(tokio::spawn(alone)));
        };
        let kafka = self.environment.kafka.clone();
        let topic = self.settings.configs_topic.clone();
        let open = || CompactedTopic::open(&kafka, &topic, self.settings.replication);
        let may_pass = |error: &StoreError| {
            tracing::warn!(%error, "the config topic cannot be read yet");
            error.is_transient()
        };
        let Some(opened) = retry(stop, open, may_pass).await? else {
            return Ok(None);
        };
        store.set(opened).ok();
        let leads = self.leads.clone();
        let electing = async move { follow_leadership(&kafka, &topic, leads, election).await };
        Ok(Some(tokio::spawn(electing)))
    }

    async fn serve(&self, stop: &CancellationToken) {
        let mut leads = self.leads.subscribe();
        let mut changes = self.store.changes();
        let changed = async |changes: &mut Option<watch::Receiver<i64>>| match changes {
            Some(changes) => changes.changed().await.is_ok(),
            None => std::future::pending().await,
        };
        loop {
            self.apply_all().await;
            let goes_on = tokio::select! {
                () = stop.cancelled() => false,
                leads = leads.changed() => leads.is_ok(),
                goes_on = changed(&mut changes) => goes_on,
            };
            if !goes_on {
                return;
            }
        }
    }

    async fn apply_all(&self) {
        let _change = self.change.lock().await;
        let Ok(wanted) = self.store.all() else {
            return;
        };
        let mut names: BTreeSet<_> = wanted.into_keys().collect();
        names.extend(self.connectors.read().keys().cloned());
        for name in names {
            if let Err(error) = self.apply(&name).await {
                tracing::warn!(connector = name, %error, "not applied");
            }
        }
    }

    /// Brings a connector in line with the store. Called by whoever holds `change`.
    async fn apply(&self, name: &str) -> Result<(), StoreError> {
        let entry = self.store.get(name)?.filter(|_| *self.leads.borrow());
        let running = self.connectors.read().get(name).map(Connector::entry);
        if running == entry {
            return Ok(());
        }
        if let Some(connector) = self.take(name) {
            connector.stop().await;
        }
        if let Some(entry) = entry {
            self.start(name, entry);
        }
        Ok(())
    }

    async fn stop_all(&self) {
        let _change = self.change.lock().await;
        self.leads.send_replace(false);
        let connectors = std::mem::take(&mut *self.connectors.write());
        for connector in connectors.into_values() {
            connector.stop().await;
        }
    }

    pub fn names(&self) -> Result<Vec<String>, SupervisorError> {
        Ok(self.store.all()?.into_keys().collect())
    }

    fn entry(&self, name: &str) -> Result<Entry, SupervisorError> {
        self.store.get(name)?.ok_or_else(|| not_found(name))
    }

    pub fn config(&self, name: &str) -> Result<Properties, SupervisorError> {
        Ok(masked(&self.entry(name)?.properties))
    }

    pub fn info(&self, name: &str) -> Result<ConnectorInfo, SupervisorError> {
        self.info_with(name, self.task_count(name))
    }

    fn info_with(&self, name: &str, tasks: usize) -> Result<ConnectorInfo, SupervisorError> {
        let properties = self.entry(name)?.properties;
        let kind = Class::of(&properties).map_err(invalid)?.kind();
        Ok(ConnectorInfo::new(name, masked(&properties), tasks, kind))
    }

    fn task_count(&self, name: &str) -> usize {
        self.connectors.read().get(name).map_or(0, Connector::tasks)
    }

    pub fn status(&self, name: &str) -> Result<ConnectorStatus, SupervisorError> {
        let info = self.info(name).map_err(unless_unknown(no_status(name)))?;
        let worker_id = self.worker_id();
        Ok(match self.connectors.read().get(name) {
            Some(connector) => connector.status(name, worker_id, info.kind),
            None if *self.leads.borrow() => {
                ConnectorStatus::without_tasks(name, State::Restarting, worker_id, info.kind)
            }
            None => ConnectorStatus::without_tasks(name, State::Unassigned, worker_id, info.kind),
        })
    }

    pub fn task_status(&self, name: &str, task: usize) -> Result<TaskReport, SupervisorError> {
        let no_status =
            || SupervisorError::NotFound(format!("No status found for task {name}-{task}"));
        let tasks = self
            .status(name)
            .map_err(unless_unknown(no_status()))?
            .tasks;
        tasks
            .into_iter()
            .find(|report| report.id == task)
            .ok_or_else(no_status)
    }

    /// Topics that its tasks have used; of an unknown connector none, as in Connect.
    pub fn topics(&self, name: &str) -> BTreeSet<String> {
        self.environment.topics.of(name)
    }

    pub fn forget_topics(&self, name: &str) {
        self.environment.topics.forget(name);
    }

    pub fn tasks(&self, name: &str) -> Result<Vec<TaskInfo>, SupervisorError> {
        let info = self.info(name)?;
        let class = Class::of(&info.config).map_err(invalid)?;
        let task = |id: ConnectorTask| {
            let mut config = info.config.clone();
            let more = class.task_properties(id.task);
            config.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
            TaskInfo { id, config }
        };
        Ok(info.tasks.iter().cloned().map(task).collect())
    }

    /// A sink's dead letters; any worker can read them and put them back.
    pub fn dead_letters(&self, name: &str) -> Result<SinkLetters, SupervisorError> {
        let properties = self.entry(name)?.properties;
        let config = configured(&self.environment, &properties)
            .map_err(|why| SupervisorError::Unusable(name.to_owned(), why))?;
        SinkLetters::of(name, &config, &self.environment.kafka).ok_or_else(|| {
            SupervisorError::NotFound(format!(
                "Connector {name} has no dead-letter topic: a sink has one if \
                 errors.deadletterqueue.topic.name says so"
            ))
        })
    }

    /// Of all connectors that run here.
    pub fn dead_letters_waiting(&self) -> i64 {
        let connectors = self.connectors.read();
        connectors
            .values()
            .map(Connector::dead_letters_waiting)
            .sum()
    }

    /// As in Connect, who changes a connector is told the tasks that it had before.
    pub async fn create(
        &self,
        name: &str,
        properties: Properties,
        target: Target,
    ) -> Result<ConnectorInfo, SupervisorError> {
        let change = self.change.lock().await;
        let properties = named(name, properties)?;
        self.check(&properties)?;
        if self.store.get(name)?.is_some() {
            return Err(SupervisorError::AlreadyExists(name.to_owned()));
        }
        let entry = Entry { properties, target };
        self.store.put(name, &entry).await?;
        self.apply(name).await?;
        drop(change);
        self.info_with(name, 0)
    }

    /// Creates or replaces; whether it was created. The same configuration again changes
    /// nothing.
    pub async fn put(
        &self,
        name: &str,
        properties: Properties,
    ) -> Result<(ConnectorInfo, bool), SupervisorError> {
        let change = self.change.lock().await;
        let properties = named(name, properties)?;
        let previous = self.store.get(name)?;
        let (tasks, is_new) = (self.task_count(name), previous.is_none());
        self.replace(name, properties, previous).await?;
        drop(change);
        Ok((self.info_with(name, tasks)?, is_new))
    }

    /// Sets some keys, and removes those without a value.
    pub async fn patch(
        &self,
        name: &str,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<ConnectorInfo, SupervisorError> {
        let change = self.change.lock().await;
        let previous = self.entry(name)?;
        let mut properties = previous.properties.clone();
        for (key, value) in changes {
            match value {
                Some(value) => properties.insert(key, value),
                None => properties.remove(&key),
            };
        }
        let properties = named(name, properties)?;
        let tasks = self.task_count(name);
        self.replace(name, properties, Some(previous)).await?;
        drop(change);
        self.info_with(name, tasks)
    }

    async fn replace(
        &self,
        name: &str,
        mut properties: Properties,
        previous: Option<Entry>,
    ) -> Result<(), SupervisorError> {
        if let Some(previous) = &previous {
            unmasked(&mut properties, &previous.properties);
        }
        self.check(&properties)?;
        let target = previous.as_ref().map_or(Target::Running, |e| e.target);
        let entry = Entry { properties, target };
        if previous.as_ref() != Some(&entry) {
            self.store.put(name, &entry).await?;
            self.apply(name).await?;
        }
        Ok(())
    }

    pub async fn delete(&self, name: &str) -> Result<(), SupervisorError> {
        let _change = self.change.lock().await;
        self.entry(name)?;
        self.store.remove(name).await?;
        self.apply(name).await?;
        self.environment.topics.forget(name);
        Ok(())
    }

    pub async fn set_target(&self, name: &str, target: Target) -> Result<(), SupervisorError> {
        let _change = self.change.lock().await;
        let entry = self.store.get(name)?.ok_or_else(|| no_target(name))?;
        if entry.target != target {
            let entry = Entry { target, ..entry };
            self.store.put(name, &entry).await?;
            self.apply(name).await?;
        }
        Ok(())
    }

    /// Restarts tasks, and a connector that could not be set up at all; the status with what
    /// is restarted. `only_failed` leaves alone what runs.
    pub async fn restart(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<ConnectorStatus, SupervisorError> {
        let _change = self.change.lock().await;
        let entry = self.store.get(name)?.ok_or_else(|| no_restart(name))?;
        let plan = self.status(name)?.restarting(include_tasks, only_failed);
        let standby = || SupervisorError::Standby(name.to_owned());
        let mut connector = self.take(name).ok_or_else(standby)?;
        if connector.is_failed() {
            connector.stop().await;
            self.start(name, entry);
            return Ok(plan);
        }
        if include_tasks {
            connector
                .restart_tasks(&self.environment, only_failed)
                .await;
        }
        self.connectors.write().insert(name.to_owned(), connector);
        Ok(plan)
    }

    pub async fn restart_task(&self, name: &str, task: usize) -> Result<(), SupervisorError> {
        let _change = self.change.lock().await;
        self.store.get(name)?.ok_or_else(|| no_restart(name))?;
        let standby = || SupervisorError::Standby(name.to_owned());
        let mut connector = self.take(name).ok_or_else(standby)?;
        let restarted = connector.restart_task(&self.environment, task).await;
        self.connectors.write().insert(name.to_owned(), connector);
        let unknown = || SupervisorError::NotFound(format!("Unknown task: {name}-{task}"));
        restarted.then_some(()).ok_or_else(unknown)
    }

    fn start(&self, name: &str, entry: Entry) {
        let connector = Connector::start(&self.environment, name, entry);
        self.connectors.write().insert(name.to_owned(), connector);
    }

    fn take(&self, name: &str) -> Option<Connector> {
        self.connectors.write().remove(name)
    }

    fn worker_id(&self) -> &str {
        self.worker_id.get().map_or("", String::as_str)
    }
}

/// The name is part of the configuration, and the same there.
fn named(name: &str, mut properties: Properties) -> Result<Properties, SupervisorError> {
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
