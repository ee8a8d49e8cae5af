use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;

use super::{FIRST_ID, Kind, World};
use crate::catalog_service::CatalogService;
use crate::compose::Compose;
use crate::database::{CatalogDatabase, OrdersDatabase};
use crate::http::Http;
use crate::kafka::Kafka;
use crate::order_service::OrderService;
use crate::sink::Sink;

/// As e2e/compose.env and e2e/compose.yml publish it. Both clients of the order-service are
/// the one gateway, which spreads their requests.
const ORDERS: &str = "http://127.0.0.1:38081";
const CATALOG: &str = "http://127.0.0.1:38082";
const CONNECT: &str = "http://127.0.0.1:38083";
const KAFKA: &str = "127.0.0.1:39092";
const ORDERS_DATABASE: &str = "mysql://verify:verify@127.0.0.1:33306/orders";
/// As its owner: a test takes a product away.
const CATALOG_DATABASE: &str = "mysql://catalog:catalog@127.0.0.1:33306/catalog";

pub(super) async fn start(logs: PathBuf, lock: File) -> anyhow::Result<World> {
    let compose = Compose::new(&logs)?;
    compose.down_with_volumes().await?;
    compose.up().await?;
    let world = World {
        kind: Kind::Compose,
        orders: [
            OrderService(Http::new(ORDERS)?),
            OrderService(Http::new(ORDERS)?),
        ],
        catalog: CatalogService(Http::new(CATALOG)?),
        kafka: Kafka::at(KAFKA),
        orders_database: OrdersDatabase::open(ORDERS_DATABASE).await?,
        catalog_database: CatalogDatabase::open(CATALOG_DATABASE).await?,
        sink: Sink {
            http: Http::new(CONNECT)?,
            process: None,
        },
        processes: Vec::new(),
        compose: Some(compose),
        logs,
        _lock: lock,
        next_id: AtomicI64::new(FIRST_ID),
    };
    world.sink.reaches("RUNNING").await?;
    Ok(world)
}
