use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicI64;

use super::stack::Stack;
use super::{FIRST_ID, Kind, World};
use crate::catalog_service::CatalogService;
use crate::database::{CatalogDatabase, OrdersDatabase};
use crate::http::Http;
use crate::kafka::Kafka;
use crate::order_service::OrderService;
use crate::place::{binary, free_address};
use crate::process::Process;
use crate::sink::Sink;

pub(super) async fn start(kind: Kind, logs: PathBuf, lock: File) -> anyhow::Result<World> {
    let stack = Stack::of(kind)?;
    stack.empty().await?;
    let sink = start_sink(&stack, &logs)?;
    let (catalog_process, catalog) = start_catalog_service(&stack, "catalog-service", &logs)?;
    let (process_a, orders_a) = start_order_service(&stack, &sink, "a", &logs)?;
    let (process_b, orders_b) = start_order_service(&stack, &sink, "b", &logs)?;
    catalog_process.complete(&catalog).await?;
    process_a.complete(&orders_a).await?;
    process_b.complete(&orders_b).await?;
    Ok(World {
        kind,
        orders: [OrderService(orders_a), OrderService(orders_b)],
        catalog: CatalogService(catalog),
        kafka: Kafka::at(&stack.kafka),
        orders_database: OrdersDatabase::open(&stack.database("orders")).await?,
        catalog_database: CatalogDatabase::open(&stack.database("catalog")).await?,
        sink,
        processes: vec![process_a, process_b, catalog_process],
        compose: None,
        logs,
        _lock: lock,
        next_id: AtomicI64::new(FIRST_ID),
    })
}

/// Another catalog-service beside the world's, in the same group.
pub(super) fn another_catalog_service(
    kind: Kind,
    letter: &str,
    logs: &Path,
) -> anyhow::Result<(Process, CatalogService)> {
    let stack = Stack::of(kind)?;
    let name = format!("catalog-service-{letter}");
    let (process, http) = start_catalog_service(&stack, &name, logs)?;
    Ok((process, CatalogService(http)))
}

/// Another order-service beside the world's.
pub(super) fn another_order_service(
    kind: Kind,
    sink: &Sink,
    letter: &str,
    logs: &Path,
) -> anyhow::Result<(Process, OrderService)> {
    let stack = Stack::of(kind)?;
    let (process, http) = start_order_service(&stack, sink, letter, logs)?;
    Ok((process, OrderService(http)))
}

/// A second connect-worker beside the world's, without a connector.
pub(super) fn second_worker(kind: Kind, logs: &Path) -> anyhow::Result<(Process, Http)> {
    start_worker(&Stack::of(kind)?, "connect-worker-b", logs)
}

pub(super) fn console(
    kind: Kind,
    orders: [&str; 2],
    catalog: &str,
    sink: &Sink,
    logs: &Path,
) -> anyhow::Result<(Process, Http)> {
    let stack = Stack::of(kind)?;
    let (mut command, http) = service("console", "CONSOLE", &stack)?;
    command
        .env("CONSOLE__ORDER_SERVICES", orders.join(","))
        .env("CONSOLE__CATALOG_SERVICE", catalog)
        .env("CONSOLE__CONNECT", sink.http.base())
        .env("CONSOLE__ORDERS_DATABASE__URL", stack.database("orders"))
        .env("CONSOLE__CATALOG_DATABASE__URL", stack.database("catalog"));
    Ok((Process::start("console", command, logs)?, http))
}

pub(super) fn verify(kind: Kind) -> anyhow::Result<Command> {
    let stack = Stack::of(kind)?;
    let mut command = binary("verify")?;
    command
        .args(["--bootstrap-servers", &stack.kafka])
        .args(["--orders-database", &stack.database("orders")])
        .args(["--catalog-database", &stack.database("catalog")]);
    Ok(command)
}

fn start_sink(stack: &Stack, logs: &Path) -> anyhow::Result<Sink> {
    if let Some(url) = &stack.connect {
        return Ok(Sink {
            http: Http::new(url)?,
            process: None,
        });
    }
    let (process, http) = start_worker(stack, "connect-worker", logs)?;
    Ok(Sink {
        http,
        process: Some(process),
    })
}

fn start_worker(stack: &Stack, name: &str, logs: &Path) -> anyhow::Result<(Process, Http)> {
    let (mut command, http) = service("connect-worker", "CONNECT_WORKER", stack)?;
    command
        // The registrar tells it its connector, and runs do not see each other's.
        .env("CONNECT_WORKER__STORE__CONFIGS_TOPIC", "")
        .env("ORDERS_SINK_URL", stack.jdbc_url("orders"))
        .env("ORDERS_SINK_USERNAME", "test")
        .env("ORDERS_SINK_PASSWORD", "test")
        .env("ORDERS_SINK_TASKS_MAX", "2")
        .env("ORDERS_SINK_DLQ_REPLICATION", "1");
    Ok((Process::start(name, command, logs)?, http))
}

fn start_catalog_service(
    stack: &Stack,
    name: &str,
    logs: &Path,
) -> anyhow::Result<(Process, Http)> {
    let (mut command, http) = service("catalog-service", "CATALOG_SERVICE", stack)?;
    command.env("CATALOG_SERVICE__DATABASE__URL", stack.database("catalog"));
    Ok((Process::start(name, command, logs)?, http))
}

fn start_order_service(
    stack: &Stack,
    sink: &Sink,
    name: &str,
    logs: &Path,
) -> anyhow::Result<(Process, Http)> {
    let (mut command, http) = service("order-service", "ORDER_SERVICE", stack)?;
    command
        .env("ORDER_SERVICE__INSTANCE_ID", format!("e2e-{name}"))
        .env("ORDER_SERVICE__DATABASE__URL", stack.database("orders"))
        .env("ORDER_SERVICE__CONNECT__URL", sink.http.base())
        .env("ORDER_SERVICE__CONNECT__EVERY_S", "1");
    let process = Process::start(&format!("order-service-{name}"), command, logs)?;
    Ok((process, http))
}

/// A service on a port of its own, which a restart keeps.
fn service(program: &str, prefix: &str, stack: &Stack) -> anyhow::Result<(Command, Http)> {
    let address: SocketAddr = free_address()?;
    let mut command = binary(program)?;
    command
        .env(format!("{prefix}__HTTP__BIND"), address.to_string())
        .env(format!("{prefix}__KAFKA__BOOTSTRAP_SERVERS"), &stack.kafka);
    Ok((command, Http::new(&format!("http://{address}"))?))
}
