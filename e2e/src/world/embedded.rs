use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;

use super::{FIRST_ID, Kind, World};
use crate::catalog_service::CatalogService;
use crate::database::{CatalogDatabase, OrdersDatabase};
use crate::demo::Demo;
use crate::order_service::OrderService;
use crate::sink::Sink;

pub(super) async fn start(logs: PathBuf, lock: File) -> anyhow::Result<World> {
    let data = logs.join("data");
    let demo = Demo::start(&data, &logs).await?;
    let [first, second] = demo.order_services()?;
    let sqlite = |file: &str| format!("sqlite://{}?mode=rw", data.join(file).display());
    Ok(World {
        kind: Kind::Embedded,
        orders: [OrderService(first), OrderService(second)],
        catalog: CatalogService(demo.catalog_service()?),
        kafka: demo.kafka()?,
        orders_database: OrdersDatabase::open(&sqlite("orders.db")).await?,
        catalog_database: CatalogDatabase::open(&sqlite("catalog.db")).await?,
        sink: Sink {
            http: demo.connect_worker()?,
            process: None,
        },
        processes: vec![demo.process],
        compose: None,
        logs,
        _lock: lock,
        next_id: AtomicI64::new(FIRST_ID),
    })
}
