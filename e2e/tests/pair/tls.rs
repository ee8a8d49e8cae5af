//! The pair where everything is encrypted and everybody must prove who they are: Kafka by TLS
//! and SCRAM, the databases and Kafka Connect by TLS.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{
    Answer, Http, OrderBody, OrdersDatabase, Process, Signal, World, binary, eventually,
    free_address,
};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use shared::contract::Status;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        an_order_passes_through_a_pair_that_speaks_only_tls,
        what_keeps_a_client_from_the_broker_is_said_without_the_password,
    ]
}

const STOP_WITHIN: Duration = Duration::from_secs(20);
/// What the stack's broker knows.
const USER: &str = "test";
const PASSWORD: &str = "test";

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set: `cargo xtask test` sets it, where the stack was started by it")
    })
}

/// What the stack's certificate is its own authority of.
fn authority() -> anyhow::Result<String> {
    variable("STACK_CA")
}

/// A service on the broker's listener that demands TLS and SCRAM.
struct Secured {
    command: Command,
    prefix: String,
    name: &'static str,
    http: Http,
}

impl Secured {
    fn new(name: &'static str) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut secured = Self {
            command: binary(name)?,
            prefix: name.replace('-', "_").to_uppercase(),
            name,
            http: Http::new(&format!("http://{address}"))?,
        };
        secured.set("HTTP__BIND", &address.to_string());
        secured.set("KAFKA__BOOTSTRAP_SERVERS", &variable("STACK_KAFKA_TLS")?);
        for (property, value) in [
            ("SECURITY_PROTOCOL", "SASL_SSL"),
            ("SASL_MECHANISM", "SCRAM-SHA-256"),
            ("SASL_USERNAME", USER),
            ("SASL_PASSWORD", PASSWORD),
            ("SSL_CA_LOCATION", &authority()?),
        ] {
            secured.set(&format!("KAFKA__PROPERTIES__{property}"), value);
        }
        Ok(secured)
    }

    fn set(&mut self, setting: &str, value: &str) {
        self.command
            .env(format!("{}__{setting}", self.prefix), value);
    }

    fn start(self, folder: &Path) -> anyhow::Result<(Process, Http)> {
        Ok((Process::start(self.name, self.command, folder)?, self.http))
    }
}

/// Topics of the test's own, as each service names them.
struct Topics([(&'static str, String); 6]);

impl Topics {
    fn new() -> Self {
        let id = uuid::Uuid::now_v7();
        Self(
            [
                "ORDERS",
                "CATALOG_DELTAS",
                "ORDER_OUTCOMES",
                "DEAD_LETTERS",
                "ORDERS_SINK_DLQ",
                "CONFIGS",
            ]
            .map(|setting| (setting, format!("tls-{id}-{setting}"))),
        )
    }

    fn of(&self, setting: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| *name == setting);
        found.map_or("", |(_, topic)| topic)
    }

    fn set(&self, service: &mut Secured, settings: &[&str]) {
        for setting in settings {
            service.set(&format!("TOPICS__{setting}__NAME"), self.of(setting));
        }
    }
}

async fn an_order_passes_through_a_pair_that_speaks_only_tls(world: &World) -> anyhow::Result<()> {
    let (topics, folder) = (Topics::new(), tempfile::tempdir()?);
    let mut result = Ok(());
    test_database::on_mariadb(async |orders| {
        test_database::on_postgres(async |catalog| {
            let databases = Databases { orders, catalog };
            result = passes_through(world, &topics, &databases, folder.path()).await;
        })
        .await;
    })
    .await;
    let names: Vec<_> = topics.0.iter().map(|(_, topic)| topic.as_str()).collect();
    result.and(world.kafka.delete_topics(&names).await)
}

/// Their URLs, without TLS.
struct Databases {
    orders: String,
    catalog: String,
}

async fn passes_through(
    world: &World,
    topics: &Topics,
    databases: &Databases,
    folder: &Path,
) -> anyhow::Result<()> {
    let (catalog_process, catalog) = catalog_service(topics, &databases.catalog, folder)?;
    let (orders_process, orders) = order_service(topics, &databases.orders, folder)?;
    let (worker_process, worker) = connect_worker(topics, folder)?;
    // The connector itself is the world's.
    orders_process.complete(&orders).await?;
    catalog_process.complete(&catalog).await?;
    worker_process.complete(&worker).await?;
    let connector = connector(topics, &databases.orders)?;
    eventually("the connector is created", async || {
        let created = worker.post("/connectors").json(&connector);
        Ok((Answer::to(created).await?.status == 201).then_some(()))
    })
    .await?;

    let product = json!({ "name": "Cup", "unit_price": 1, "qty": 10 });
    Answer::to(catalog.put("/catalog/1").json(&product))
        .await?
        .expect(201)?;
    let order = json!({ "user_id": 1, "product_id": 1, "qty": 1, "unit_price": 1 });
    let place = orders.post("/orders").json(&order);
    let placed = Answer::to(place.header("Prefer", "wait=30"))
        .await?
        .expect(201)?;
    let placed: OrderBody = placed.json()?;
    assert_eq!(placed.status, Status::Confirmed);
    let database = OrdersDatabase::open(&databases.orders).await?;
    let row = eventually("its row", async || Ok(database.order(placed.id).await?)).await?;
    assert_eq!(row.product_id, 1);
    // The records are the same, whichever way they came in.
    let records = world.kafka.read_all(topics.of("ORDERS")).await?;
    assert_eq!(records.len(), 1);
    for process in [orders_process, worker_process, catalog_process] {
        let status = process.stop(Signal::Terminate, STOP_WITHIN).await?;
        ensure!(status.success(), "{}: {status}", process.name());
    }
    Ok(())
}

fn order_service(
    topics: &Topics,
    database: &str,
    folder: &Path,
) -> anyhow::Result<(Process, Http)> {
    let mut service = Secured::new("order-service")?;
    topics.set(
        &mut service,
        &[
            "ORDERS",
            "CATALOG_DELTAS",
            "ORDER_OUTCOMES",
            "ORDERS_SINK_DLQ",
        ],
    );
    service.set("INSTANCE_ID", "e2e-tls");
    let authority = authority()?;
    let tls = format!("{database}?ssl-mode=VERIFY_IDENTITY&ssl-ca={authority}");
    service.set("DATABASE__URL", &tls);
    service.set("CONNECT__URL", &variable("STACK_CONNECT_TLS")?);
    service.start(folder)
}

fn catalog_service(
    topics: &Topics,
    database: &str,
    folder: &Path,
) -> anyhow::Result<(Process, Http)> {
    let mut service = Secured::new("catalog-service")?;
    topics.set(
        &mut service,
        &["CATALOG_DELTAS", "ORDER_OUTCOMES", "DEAD_LETTERS"],
    );
    service.set("GROUP", topics.of("CATALOG_DELTAS"));
    let tls = format!(
        "{database}?sslmode=verify-full&sslrootcert={}",
        authority()?
    );
    service.set("DATABASE__URL", &tls);
    service.start(folder)
}

fn connect_worker(topics: &Topics, folder: &Path) -> anyhow::Result<(Process, Http)> {
    let mut worker = Secured::new("connect-worker")?;
    worker.set("STORE__CONFIGS_TOPIC", topics.of("CONFIGS"));
    worker.start(folder)
}

/// The pair's connector, from the test's topic to the test's database.
fn connector(topics: &Topics, database: &str) -> anyhow::Result<Value> {
    let mut connector: Value =
        serde_json::from_str(include_str!("../../../connectors/orders-sink.json"))?;
    let (_, server) = database.split_once('@').context("no user")?;
    let topic = topics.of("ORDERS");
    connector["name"] = json!(topic);
    for (key, value) in [
        ("topics", topic),
        ("collection.name.format", "orders"),
        ("tasks.max", "1"),
        (
            "connection.url",
            &format!(
                "jdbc:mariadb://{server}?sslMode=verify-full&serverSslCert={}",
                authority()?
            ),
        ),
        ("connection.username", USER),
        ("connection.password", PASSWORD),
        (
            "errors.deadletterqueue.topic.name",
            topics.of("ORDERS_SINK_DLQ"),
        ),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
    ] {
        connector["config"][key] = json!(value);
    }
    Ok(connector)
}

async fn what_keeps_a_client_from_the_broker_is_said_without_the_password(
    _: &World,
) -> anyhow::Result<()> {
    let (wrong, broker) = ("hush-4711-hush", variable("STACK_KAFKA_TLS")?);
    for (property, value, reason) in [
        ("SASL_PASSWORD", wrong, "Authentication failed"),
        ("SSL_CA_LOCATION", "probe", "certificate"),
        // Here the broker merely hangs up.
        ("SECURITY_PROTOCOL", "SSL", &broker),
        ("SECURITY_PROTOCOL", "SASL_PLAINTEXT", &broker),
    ] {
        let folder = tempfile::tempdir()?;
        let mut worker = Secured::new("connect-worker")?;
        worker.set(&format!("KAFKA__PROPERTIES__{property}"), value);
        let (process, http) = worker.start(folder.path())?;
        let what = format!("`{reason}` is why {property}={value} does not work");
        let report = eventually(&what, async || {
            let report = http.readiness().await?;
            let broker = report["dependencies"]["broker"].to_string();
            ensure!(broker.contains(reason), "{report}");
            Ok(Some(report.to_string()))
        })
        .await?;
        ensure!(!report.contains(wrong), "{report}");
        let log = process.output()?;
        ensure!(!log.contains(wrong), "{log}");
        process.kill()?;
    }
    Ok(())
}
