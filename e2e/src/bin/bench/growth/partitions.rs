//! The pair with ever more partitions, and with ever more instances.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use e2e::{Http, Kind, Process, Signal, World};
use futures_util::future::try_join_all;

use super::Arguments;
use super::curves::Curves;
use super::drain::{Reader, drain, rate};
use crate::measure::{Run, count};
use crate::{STOP_WITHIN, load};

const PARTITIONS: [u32; 4] = [6, 12, 24, 48];
const INSTANCES: [u32; 3] = [1, 2, 3];
const CONNECTIONS: usize = 128;

const TOPICS: [&str; 3] = ["orders", "catalog_deltas", "order_outcomes"];
const GROUPS: [&str; 2] = ["catalog-service", "connect-orders-sink"];
const SETTINGS: [&str; 5] = [
    "ORDER_SERVICE__TOPICS__ORDERS__PARTITIONS",
    "ORDER_SERVICE__TOPICS__CATALOG_DELTAS__PARTITIONS",
    "ORDER_SERVICE__TOPICS__ORDER_OUTCOMES__PARTITIONS",
    "CATALOG_SERVICE__TOPICS__CATALOG_DELTAS__PARTITIONS",
    "CATALOG_SERVICE__TOPICS__ORDER_OUTCOMES__PARTITIONS",
];

pub(super) async fn partitions(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let mut curves = Curves::over("partitions of each topic");
    for partitions in PARTITIONS {
        let world = World::start(Kind::WorkerMariadb).await?;
        divide_topics(&world, partitions).await?;
        crate::stock_up(&world).await?;
        let (catalog, sink) = (Reader::catalog(&world)?, Reader::sink(&world)?);
        for _ in 0..arguments.rounds {
            catalog.stop().await?;
            sink.stop().await?;
            let placed = place(&[&world.orders[0]], arguments.orders).await?;
            let orders = count(placed.latencies.len());
            curves.add_requests("POST /orders", partitions, placed);
            let applied = drain(&[catalog], orders).await?;
            curves.add_rate("catalog: apply", partitions, rate(&applied));
            let written = drain(&[sink], 2.0 * orders).await?;
            curves.add_rate("sink: write", partitions, rate(&written));
        }
        world.stop().await?;
    }
    curves.save(into, "growth-partitions")
}

/// Makes the topics anew, with so many partitions each.
async fn divide_topics(world: &World, partitions: u32) -> anyhow::Result<()> {
    let sink = world.sink.process.as_ref().context("connect-worker")?;
    let services: [(&Process, &Http); 4] = [
        (sink, &world.sink.http),
        (world.process("catalog-service")?, &world.catalog),
        (world.process("order-service-a")?, &world.orders[0]),
        (world.process("order-service-b")?, &world.orders[1]),
    ];
    for (process, _) in services {
        process.stop(Signal::Terminate, STOP_WITHIN).await?;
    }
    world.kafka.delete_groups(&GROUPS).await?;
    world.kafka.delete_topics(&TOPICS).await?;
    for (process, _) in services {
        for setting in SETTINGS {
            process.set(setting, Some(&partitions.to_string()))?;
        }
        process.start_again()?;
    }
    for (process, http) in services {
        process.complete(http).await?;
    }
    Ok(())
}

pub(super) async fn instances(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    let (process, third) = world.another_order_service("c")?;
    process.complete(&third).await?;
    let services: [&Http; 3] = [&world.orders[0], &world.orders[1], &third];
    let more = [
        world.another_catalog_service("b")?,
        world.another_catalog_service("c")?,
    ];
    let catalogs = [
        Reader::catalog(&world)?,
        Reader::of_catalog(&more[0].0, &more[0].1),
        Reader::of_catalog(&more[1].0, &more[1].1),
    ];
    for catalog in catalogs {
        catalog.stop().await?;
    }
    world.sink.stop().await?;
    let mut curves = Curves::over("instances of each service");
    for _ in 0..arguments.rounds {
        for (instances, several) in INSTANCES.into_iter().zip(1..) {
            let placed = place(&services[..several], arguments.orders).await?;
            let orders = count(placed.latencies.len());
            curves.add_requests("POST /orders", instances, placed);
            let applied = drain(&catalogs[..several], orders).await?;
            curves.add_rate("catalog: apply", instances, rate(&applied));
            for catalog in &catalogs[..several] {
                catalog.stop().await?;
            }
        }
    }
    world.stop().await?;
    curves.save(into, "growth-instances")
}

/// Places orders with several services at once, which share them and the connections.
async fn place(services: &[&Http], orders: usize) -> anyhow::Result<Run> {
    let each = services.len();
    let addresses = services.iter().map(|service| crate::address(service));
    let addresses: Vec<SocketAddr> = addresses.collect::<Result<_, _>>()?;
    let runs = addresses
        .into_iter()
        .map(|address| load::run(address, orders / each, CONNECTIONS / each));
    let mut all = Run::default();
    for run in try_join_all(runs).await? {
        all.took = all.took.max(run.took);
        all.latencies.extend(run.latencies);
    }
    Ok(all)
}
