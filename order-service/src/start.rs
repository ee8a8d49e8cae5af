use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::Context;
use migrations::{Database, MigrationError};
use prometheus_client::registry::Registry;
use sea_orm::DatabaseConnection;
use shared::backoff::retry;
use shared::database::{self, ConnectError};
use shared::http::{Common, Dependency, Health, HttpServer, serve};
use shared::kafka::{TopicError, ensure_topics, watch_broker};
use shared::service::{Service, Tasks};
use shared::settings;
use shared::traces::Traces;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::asyncapi::asyncapi;
use crate::metrics::{ConnectorState, PublishMetrics};
use crate::publisher::{self, SessionSettings, Worker};
use crate::read_model::{ReadModel, Reader};
use crate::registrar::{Connector, Registrar};
use crate::routes;
use crate::settings::Settings;
use crate::tail::{Follower, Tail};
use crate::visibility::{Visibility, doubt_the_tail};

/// How often the database is looked at when nobody reads.
const DATABASE_PROBE: Duration = Duration::from_secs(5);

/// Binds the port and starts answering; broker and database may come later. Fails on a
/// taken port and on settings that cannot work.
pub async fn start(settings: Settings) -> anyhow::Result<Service> {
    settings.kafka.validate()?;
    let database = database::connect(&settings.database)
        .await
        .map_err(ConnectError::from)
        .context("setting `database.url`")?;
    assemble(settings, database)
}

/// Not async: what is would be compiled anew in every program that awaits it.
fn assemble(settings: Settings, database: DatabaseConnection) -> anyhow::Result<Service> {
    let traces = Traces::from_env("order-service")?;
    let health = Health::default();
    let mut registry = Registry::default();
    database::register_pool(&mut registry, &database, &settings.database);
    let own = registry.sub_registry_with_prefix("order_service");
    let registrar = registrar(&settings, &health, ConnectorState::register(own))?;
    let metrics = Arc::new(PublishMetrics::register(own));
    let patience = Duration::from_millis(settings.publisher.deadline_ms);
    let (broker, writer) = (health.critical("broker"), health.critical("publisher"));
    let (publisher, jobs) = publisher::channel(
        settings.publisher.queue,
        patience,
        writer.clone(),
        Arc::clone(&metrics),
    );
    publisher.register(own);
    let tail = Tail::new(&settings.tail);
    tail.register(own);
    let (visibility, accepted) = Visibility::register(own);
    let mut tasks = Tasks::default();
    let reader = Reader::new(database.clone(), settings.database.max_connections);
    let (read_model, look_ups) = ReadModel::new(reader, health.degrading("database"));
    tasks.spawn("look-ups", look_ups.run(tasks.stop_signal()));
    let app = Data::new(App {
        publisher,
        tail,
        writing: [broker.clone(), writer.clone()],
        following: health.degrading("tail"),
        accepted,
        read_model,
        drain: tasks.drain_signal(),
        topics: settings.topics.clone(),
        traces: traces.clone(),
    });
    let http = bind(&settings, &health, registry, &app)?;
    let worker = Worker {
        jobs,
        settings: session(&settings, http.address.port())?,
        health: writer,
        metrics,
        traces,
        stop: tasks.stop_signal(),
    };
    let duties = Duties {
        settings,
        database,
        broker,
        app,
        topics_ready: CancellationToken::new(),
        tables_ready: CancellationToken::new(),
        stop: tasks.stop_signal(),
    };
    let (read_model, stop) = (duties.app.read_model.clone(), tasks.stop_signal());
    tasks.spawn("visibility", visibility.run(read_model, stop));
    duties.spawn(&mut tasks, worker, registrar);
    Ok(Service::new(http, tasks))
}

fn registrar(
    settings: &Settings,
    health: &Health,
    state: ConnectorState,
) -> anyhow::Result<Option<Registrar>> {
    let connect = &settings.connect;
    if connect.url.is_empty() {
        return Ok(None);
    }
    let connector = Connector::load(connect.connector.as_deref())?;
    Ok(Some(Registrar::new(
        connect,
        connector,
        health.degrading("sink"),
        state,
    )?))
}

fn bind(
    settings: &Settings,
    health: &Health,
    metrics: Registry,
    app: &Data<App>,
) -> anyhow::Result<HttpServer> {
    let common = Common {
        health: health.clone(),
        metrics,
        openapi: routes::openapi(),
        traces: app.traces.clone(),
    };
    let app = app.clone();
    let records = asyncapi(settings);
    Ok(serve(&settings.http, common, move |config| {
        config.service(records.resource());
        routes::configure(config, app.clone());
    })?)
}

fn session(settings: &Settings, port: u16) -> anyhow::Result<SessionSettings> {
    let instance = match settings.instance_id.as_str() {
        "" => settings::default_instance_id(port),
        id => id.to_owned(),
    };
    let session = SessionSettings {
        client: settings.kafka.producer(&instance),
        transactional_id: format!("order-service-{instance}"),
        publisher: settings.publisher.clone(),
        topics: settings.topics.clone(),
    };
    session.validate().context(
        "settings `kafka.properties` and `publisher.transaction_timeout_ms` (message.timeout.ms \
         and socket.timeout.ms must not exceed the transaction's timeout)",
    )?;
    Ok(session)
}

/// What runs beside the HTTP server.
struct Duties {
    settings: Settings,
    database: DatabaseConnection,
    broker: Dependency,
    app: Data<App>,
    topics_ready: CancellationToken,
    tables_ready: CancellationToken,
    stop: CancellationToken,
}

impl Duties {
    /// What needs the topics waits for them; the connector waits for the tables too.
    fn spawn(self, tasks: &mut Tasks, worker: Worker, registrar: Option<Registrar>) {
        let duties = Arc::new(self);
        let kafka = duties.settings.kafka.clone();
        let broker = duties.broker.clone();
        tasks.spawn("broker", watch_broker(kafka, broker, duties.stop.clone()));
        tasks.spawn("topics", Arc::clone(&duties).topics());
        tasks.spawn("database", Arc::clone(&duties).tables());
        tasks.spawn(
            "publisher",
            Arc::clone(&duties).after_topics(move || worker.run()),
        );
        let App {
            tail, read_model, ..
        } = &**duties.app;
        let doubting = doubt_the_tail(tail.clone(), read_model.clone(), duties.stop.clone());
        tasks.spawn("doubts", doubting);
        let follower = duties.follower();
        tasks.spawn(
            "tail",
            Arc::clone(&duties).after_topics(move || follower.run()),
        );
        if let Some(registrar) = registrar {
            tasks.spawn("registrar", Arc::clone(&duties).registration(registrar));
        }
    }

    async fn topics(self: Arc<Self>) -> Result<(), TopicError> {
        let topics = self.settings.topics.all();
        let ensure = || ensure_topics(&self.settings.kafka, &topics);
        let again = |error: &TopicError| {
            tracing::warn!(%error, "trying again");
            error.is_transient()
        };
        if retry(&self.stop, ensure, again).await?.is_some() {
            self.topics_ready.cancel();
        }
        Ok(())
    }

    /// Applies the migrations, then keeps an eye on the database.
    async fn tables(self: Arc<Self>) -> Result<(), MigrationError> {
        if self.settings.database.migrate {
            let migrate = || migrations::up(&self.database, Database::Orders);
            let again = |error: &MigrationError| {
                tracing::warn!(%error, "trying again");
                true
            };
            if retry(&self.stop, migrate, again).await?.is_none() {
                return Ok(());
            }
        }
        self.tables_ready.cancel();
        loop {
            self.app.read_model.probe().await;
            tokio::select! {
                () = tokio::time::sleep(DATABASE_PROBE) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Runs blocking work once the topics are there.
    async fn after_topics<E: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) -> Result<(), E> {
        tokio::select! {
            () = self.topics_ready.cancelled() => {}
            () = self.stop.cancelled() => return Ok(()),
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    fn follower(&self) -> Follower {
        Follower {
            kafka: self.settings.kafka.clone(),
            orders: self.settings.topics.orders.name.clone(),
            outcomes: self.settings.topics.order_outcomes.name.clone(),
            window: Duration::from_secs(self.settings.tail.window_s),
            tail: self.app.tail.clone(),
            health: self.app.following.clone(),
            stop: self.stop.clone(),
        }
    }

    async fn registration(self: Arc<Self>, registrar: Registrar) -> Result<(), Infallible> {
        tokio::select! {
            () = self.topics_ready.cancelled() => {}
            () = self.stop.cancelled() => return Ok(()),
        }
        tokio::select! {
            () = self.tables_ready.cancelled() => registrar.run(self.stop.clone()).await,
            () = self.stop.cancelled() => {}
        }
        Ok(())
    }
}
