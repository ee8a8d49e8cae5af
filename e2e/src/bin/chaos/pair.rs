use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap::ValueEnum;
use e2e::{CatalogDatabase, Http, OrdersDatabase, Process, binary, free_address};

use crate::cluster::Cluster;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SinkKind {
    Connect,
    ConnectWorker,
}

pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) http: Http,
}

/// Everything that can be hit, and the clients to see it by.
pub(crate) struct Pair {
    pub(crate) orders: [Service; 2],
    pub(crate) catalogs: [Service; 2],
    pub(crate) sink: Service,
    /// Node 1 first.
    pub(crate) brokers: Vec<Process>,
    pub(crate) database: Process,
    pub(crate) cluster: Cluster,
    pub(crate) orders_url: String,
    pub(crate) catalog_url: String,
    pub(crate) orders_database: OrdersDatabase,
    pub(crate) catalog_database: CatalogDatabase,
}

/// What `cargo xtask chaos` says of its stack.
struct Stack {
    kafka: String,
    connect: String,
    mariadb: String,
    home: PathBuf,
}

impl Stack {
    fn from_env() -> anyhow::Result<Self> {
        let variable =
            |name| std::env::var(name).with_context(|| format!("{name}: run `cargo xtask chaos`"));
        Ok(Self {
            kafka: variable("STACK_KAFKA")?,
            connect: variable("STACK_CONNECT")?,
            mariadb: variable("STACK_MARIADB")?,
            home: variable("STACK_HOME")?.into(),
        })
    }

    fn server(&self, name: &str) -> anyhow::Result<Process> {
        let file = self.home.join(name).join("pid");
        let pid = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Process::adopt(name, pid.trim().parse()?)
    }

    fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.mariadb)
    }

    fn jdbc_url(&self) -> String {
        let host = self.mariadb.rsplit('@').next().unwrap_or_default();
        format!("jdbc:mariadb://{host}/orders")
    }
}

/// One of the two transactional producers of one of the two order-services.
pub(crate) fn transactional_id(pick: usize) -> String {
    let first = format!("order-service-{}", instance_id(pick % 2));
    match pick / 2 % 2 {
        0 => first,
        _ => format!("{first}.1"),
    }
}

fn instance_id(place: usize) -> String {
    format!("chaos-{}", letter(place))
}

fn letter(place: usize) -> char {
    if place == 0 { 'a' } else { 'b' }
}

impl Pair {
    pub(crate) async fn start(sink: SinkKind, logs: &Path) -> anyhow::Result<Self> {
        let stack = Stack::from_env()?;
        let nodes = 1..=stack.kafka.split(',').count();
        let brokers: anyhow::Result<_> = nodes
            .map(|node| stack.server(&format!("kafka-{node}")))
            .collect();
        let sink = start_sink(sink, &stack, logs)?;
        let catalogs = [
            start_catalog(0, &stack, logs)?,
            start_catalog(1, &stack, logs)?,
        ];
        let orders = [
            start_order_service(0, &stack, &sink, logs)?,
            start_order_service(1, &stack, &sink, logs)?,
        ];
        for service in orders.iter().chain(&catalogs) {
            service.process.complete(&service.http).await?;
        }
        Ok(Self {
            brokers: brokers?,
            database: stack.server("mariadb")?,
            cluster: Cluster::at(&stack.kafka),
            orders_database: OrdersDatabase::open(&stack.database("orders")).await?,
            catalog_database: CatalogDatabase::open(&stack.database("catalog")).await?,
            orders_url: stack.database("orders"),
            catalog_url: stack.database("catalog"),
            orders,
            catalogs,
            sink,
        })
    }

    /// Waits until every service says that it is complete.
    pub(crate) async fn complete(&self) -> anyhow::Result<()> {
        for service in self.orders.iter().chain(&self.catalogs) {
            service.process.complete(&service.http).await?;
        }
        Ok(())
    }
}

fn start_sink(kind: SinkKind, stack: &Stack, logs: &Path) -> anyhow::Result<Service> {
    if kind == SinkKind::Connect {
        return Ok(Service {
            process: stack.server("connect")?,
            http: Http::new(&stack.connect)?,
        });
    }
    start("connect-worker", "connect-worker", stack, logs, |command| {
        command
            .env("ORDERS_SINK_URL", stack.jdbc_url())
            .env("ORDERS_SINK_USERNAME", "orders")
            .env("ORDERS_SINK_PASSWORD", "orders")
            .env("ORDERS_SINK_TASKS_MAX", "2")
            .env("ORDERS_SINK_DLQ_REPLICATION", "3");
    })
}

fn start_catalog(place: usize, stack: &Stack, logs: &Path) -> anyhow::Result<Service> {
    let name = format!("catalog-service-{}", letter(place));
    start("catalog-service", &name, stack, logs, |command| {
        command.env("CATALOG_SERVICE__DATABASE__URL", stack.database("catalog"));
        replicate(
            command,
            "CATALOG_SERVICE",
            &["CATALOG_DELTAS", "ORDER_OUTCOMES", "DEAD_LETTERS"],
        );
    })
}

fn start_order_service(
    place: usize,
    stack: &Stack,
    sink: &Service,
    logs: &Path,
) -> anyhow::Result<Service> {
    let name = format!("order-service-{}", letter(place));
    start("order-service", &name, stack, logs, |command| {
        command
            .env("ORDER_SERVICE__INSTANCE_ID", instance_id(place))
            .env("ORDER_SERVICE__DATABASE__URL", stack.database("orders"))
            .env("ORDER_SERVICE__CONNECT__URL", sink.http.base())
            .env("ORDER_SERVICE__CONNECT__EVERY_S", "2");
        let topics = [
            "ORDERS",
            "CATALOG_DELTAS",
            "ORDER_OUTCOMES",
            "ORDERS_SINK_DLQ",
        ];
        replicate(command, "ORDER_SERVICE", &topics);
    })
}

/// On every broker.
fn replicate(command: &mut Command, prefix: &str, topics: &[&str]) {
    for topic in topics {
        command.env(format!("{prefix}__TOPICS__{topic}__REPLICATION"), "3");
    }
}

/// A program of the pair on a port of its own, which a restart keeps.
fn start(
    program: &str,
    name: &str,
    stack: &Stack,
    logs: &Path,
    set: impl FnOnce(&mut Command),
) -> anyhow::Result<Service> {
    let prefix = program.replace('-', "_").to_uppercase();
    let address = free_address()?;
    let mut command = binary(program)?;
    command
        .env(format!("{prefix}__HTTP__BIND"), address.to_string())
        .env(format!("{prefix}__KAFKA__BOOTSTRAP_SERVERS"), &stack.kafka);
    set(&mut command);
    Ok(Service {
        process: Process::start(name, command, logs)?,
        http: Http::new(&format!("http://{address}"))?,
    })
}
