//! The catalog-service: turns the quantity deltas of orders into stock, decides what
//! becomes of each order, and serves the stock over HTTP. It is the only writer of the
//! catalog database, where every change of stock is a row of the ledger.

pub mod applier;
mod asyncapi;
pub mod catalog;
pub mod dead_letters;
mod duties;
pub mod entities;
mod metrics;
pub mod routes;
mod settings;
pub mod store;

use std::convert::Infallible;

use anyhow::Context;
use prometheus_client::registry::Registry;
use sea_orm::DatabaseConnection;
use shared::database::{ConnectError, register_pool};
use shared::http::{Common, Health};
use shared::kafka::{DeadLetterTopic, LetterForm, watch_broker};
use shared::service::{Service, Tasks};
use shared::traces::Traces;

pub use asyncapi::asyncapi;
pub use metrics::Metrics;
pub use settings::{ApplierSettings, Settings, Topics};

use crate::catalog::Catalog;
use crate::dead_letters::DeadLetters;
use crate::duties::{Duties, watch_database};

/// Starts the service. Its port is bound on return; tables, topics and the applier
/// follow in the background, and `/readyz` says how far they are.
///
/// Fails on a taken port or a setting that cannot work. Broken infrastructure is waited
/// for.
pub async fn start(settings: Settings) -> anyhow::Result<Service> {
    settings.kafka.validate()?;
    let db = shared::database::connect(&settings.database).await;
    let db = db
        .map_err(ConnectError::from)
        .context("setting `database.url`")?;
    assemble(settings, db)
}

/// Not async: what is would be compiled anew in every program that awaits it.
fn assemble(settings: Settings, db: DatabaseConnection) -> anyhow::Result<Service> {
    let traces = Traces::from_env("catalog-service")?;
    let health = Health::default();
    let metrics = Metrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    register_pool(&mut registry, &db, &settings.database);
    let catalog = Catalog {
        db: db.clone(),
        conflicts: metrics.conflicts.clone(),
    };
    let waiting = metrics.dead_letters.clone();
    health.count("dead_letters", move || waiting.get());
    let letters = letters(&settings, db.clone());
    let dead_letters = letters.topic.clone();
    let common = Common {
        health: health.clone(),
        metrics: registry,
        openapi: routes::openapi(),
        traces: traces.clone(),
    };
    let records = asyncapi(&settings);
    let http = shared::http::serve(&settings.http, common, move |config| {
        config.service(records.resource());
        routes::configure(config, catalog.clone(), letters.clone());
    })?;

    let mut tasks = Tasks::default();
    let stop = || tasks.stop_signal();
    let broker = watch_broker(settings.kafka.clone(), health.critical("broker"), stop());
    let database = watch_database(db.clone(), health.critical("database"), stop());
    let (waiting, stopped) = (metrics.dead_letters.clone(), stop());
    let duties = Duties {
        settings,
        db,
        metrics,
        traces,
        health: health.critical("applier"),
        reading: health.degrading("deltas"),
        stop: stop(),
    };
    tasks.spawn("broker", broker);
    tasks.spawn("database", database);
    tasks.spawn("applier", duties.run());
    tasks.spawn("dead letters", async move {
        dead_letters.watch(&waiting, &stopped).await;
        Ok::<_, Infallible>(())
    });
    Ok(Service::new(http, tasks))
}

fn letters(settings: &Settings, db: DatabaseConnection) -> DeadLetters {
    DeadLetters {
        topic: DeadLetterTopic {
            kafka: settings.kafka.clone(),
            name: settings.topics.dead_letters.name.clone(),
            form: LetterForm::Own,
        },
        deltas: settings.topics.catalog_deltas.name.clone(),
        db,
    }
}
