//! Kafka Connect's JDBC sink and source in one small process: the same connector JSON, the
//! same REST API, the same records and rows.
//!
//! `rest` answers, `supervisor` runs connectors and their tasks, `config` reads their keys,
//! `transforms` changes records, `sink` and `source` are tasks, `dialect` is what differs
//! between databases.

mod active_topics;
pub mod config;
pub mod dead_letters;
pub mod dialect;
pub mod env;
pub mod jdbc_url;
pub mod rest;
pub mod settings;
pub mod sink;
pub mod source;
pub mod standalone;
pub mod store;
pub mod supervisor;
pub mod transforms;

use std::sync::Arc;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use shared::http::{Common, Health, serve};
use shared::kafka::watch_broker;
use shared::service::{Service, Tasks};
use shared::traces::Traces;
use tokio::runtime::Handle;

pub use env::{EnvSource, Properties};
pub use settings::{Settings, StoreSettings};

pub use active_topics::ActiveTopics;
use rest::Cluster;
use sink::SinkMetrics;
use source::OffsetStore;
use standalone::{NewConnector, WorkerFile};
use supervisor::{Environment, Supervisor};

/// A worker as its starter holds it: `address()`, `stop()`.
pub type Worker = Service;

/// Starts a worker without connectors on the caller's runtime. The broker need not be there
/// yet.
pub async fn start(settings: Settings, env: EnvSource) -> anyhow::Result<Worker> {
    let offsets = OffsetStore::new(settings.kafka.clone(), settings.store.clone());
    let (worker, _) = launch(settings, env, Properties::new(), offsets)?;
    Ok(worker)
}

/// Starts a worker as Connect's standalone script does: with these connectors, kept in
/// memory, and the offsets of sources in a file.
pub async fn start_standalone(
    worker: WorkerFile,
    connectors: Vec<NewConnector>,
    env: EnvSource,
) -> anyhow::Result<Worker> {
    let WorkerFile {
        settings,
        defaults,
        offsets,
        ignored,
    } = worker;
    if !ignored.is_empty() {
        tracing::warn!(keys = ignored.join(", "), "worker properties ignored");
    }
    let kept = OffsetStore::in_file(&offsets)
        .with_context(|| format!("offset.storage.file.filename={}", offsets.display()))?;
    let (worker, supervisor) = launch(settings, env, defaults, kept)?;
    for NewConnector {
        name,
        properties,
        target,
    } in connectors
    {
        if let Err(error) = supervisor.create(&name, properties, target).await {
            worker.stop().await;
            return Err(anyhow::Error::new(error).context(format!("connector {name}")));
        }
    }
    Ok(worker)
}

fn launch(
    settings: Settings,
    env: EnvSource,
    defaults: Properties,
    offsets: OffsetStore,
) -> anyhow::Result<(Worker, Arc<Supervisor>)> {
    settings.kafka.validate()?;
    let traces = Traces::from_env("connect-worker")?;
    let health = Health::default();
    let mut registry = Registry::default();
    let environment = Environment {
        env,
        defaults,
        kafka: settings.kafka.clone(),
        metrics: SinkMetrics::register(&mut registry),
        traces: traces.clone(),
        offsets,
        topics: ActiveTopics::default(),
        runtime: Handle::current(),
    };
    let supervisor = Supervisor::new(environment, settings.store);
    let counting = Arc::clone(&supervisor);
    health.count("dead_letters", move || counting.dead_letters_waiting());
    let cluster = Arc::new(Cluster::new(settings.kafka.clone()));
    let common = Common {
        health: health.clone(),
        metrics: registry,
        openapi: rest::openapi(),
        traces,
    };
    let http = serve(&settings.http, common, {
        let supervisor = Arc::clone(&supervisor);
        move |config| rest::routes(config, &supervisor, &cluster)
    })
    .context("connect-worker")?;
    supervisor.serves_at(http.address);
    let mut tasks = Tasks::default();
    let broker = health.critical("broker");
    tasks.spawn(
        "broker",
        watch_broker(settings.kafka, broker, tasks.stop_signal()),
    );
    let running = Arc::clone(&supervisor).run(tasks.stop_signal());
    tasks.spawn("connectors", running);
    Ok((Service::new(http, tasks), supervisor))
}
