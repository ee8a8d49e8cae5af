//! Every path of the pair, with ever more orders in its databases.

use std::path::Path;

use e2e::{Http, Kind, World};
use shared::contract::OrderId;

use super::Arguments;
use super::buffer_pool::BufferPool;
use super::curves::Curves;
use super::drain::{Reader, drain, rate};
use super::read::{PRODUCT, Read, Service, any};
use crate::history::History;
use crate::load::Load;
use crate::measure::Run;

const SMALLEST: u32 = 10_000;
const WRITERS: usize = 128;

const READS: [Read; 8] = [
    Read {
        path: "GET /orders/{id}",
        service: Service::Orders,
        requests: 5_000,
        url: |history| format!("/orders/{}", History::id(any(history.orders))),
    },
    Read {
        path: "GET /orders?user_id",
        service: Service::Orders,
        requests: 2_000,
        url: |history| format!("/orders?user_id={}", any(history.users())),
    },
    Read {
        path: "GET /orders",
        service: Service::Orders,
        requests: 2_000,
        url: |_| "/orders".to_owned(),
    },
    Read {
        path: "GET /orders?cursor",
        service: Service::Orders,
        requests: 2_000,
        url: |history| format!("/orders?cursor={}", History::cursor(any(history.orders))),
    },
    Read {
        path: "GET /orders?status, a common one",
        service: Service::Orders,
        requests: 2_000,
        url: |_| "/orders?status=CONFIRMED".to_owned(),
    },
    Read {
        path: "GET /orders?status, a rare one",
        service: Service::Orders,
        requests: 100,
        url: |_| "/orders?status=REJECTED".to_owned(),
    },
    PRODUCT,
    Read {
        path: "GET /catalog/{id}/ledger",
        service: Service::Catalog,
        requests: 2_000,
        url: |history| format!("/catalog/{}/ledger", any(history.products)),
    },
];

pub(super) async fn run(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let pool = BufferPool::open(arguments.buffer_pool).await?;
    let size = pool.size().await?;
    let mut curves = Curves::over(&format!("orders in the databases ({size})"));
    let mut orders = SMALLEST;
    while orders <= arguments.largest {
        measure(arguments, orders, &pool, &mut curves).await?;
        orders *= 10;
    }
    curves.save(into, "growth-tables")
}

async fn measure(
    arguments: &Arguments,
    orders: u32,
    pool: &BufferPool,
    curves: &mut Curves,
) -> anyhow::Result<()> {
    let world = World::start(Kind::WorkerMariadb).await?;
    let history = History {
        orders: orders.into(),
        products: u64::try_from(crate::PRODUCTS)?,
    };
    history.write().await?;
    for _ in 0..arguments.rounds {
        for read in &READS {
            let before = pool.looks().await?;
            let run = read.run(&world, history).await?;
            let looks = pool.looks().await? - before;
            curves.add_looks(read.path, orders, looks, run.latencies.len());
            curves.add_requests(read.path, orders, run);
        }
    }
    let (catalog, sink) = (Reader::catalog(&world)?, Reader::sink(&world)?);
    for _ in 0..arguments.rounds {
        catalog.stop().await?;
        sink.stop().await?;
        let placed = super::leave_backlog(&world, arguments.orders).await?;
        let applied = drain(&[catalog], placed).await?;
        curves.add_rate("catalog: apply", orders, rate(&applied));
        let written = drain(&[sink], 2.0 * placed).await?;
        curves.add_rate("sink: write", orders, rate(&written));
    }
    catalog.stop().await?;
    sink.stop().await?;
    for _ in 0..arguments.rounds {
        let run = place_with_keys(&world.orders[0], arguments.orders).await?;
        curves.add_requests("POST /orders with a key", orders, run);
    }
    world.stop().await
}

/// Orders that no one placed before: each is looked for in the database, and not there.
async fn place_with_keys(service: &Http, orders: usize) -> anyhow::Result<Run> {
    let address = crate::address(service)?;
    let order = |_| {
        let (user, key) = (any(1_000_000), OrderId::random());
        let body = format!(r#"{{"user_id":{user},"product_id":1,"qty":1,"unit_price":100}}"#);
        format!(
            "POST /orders HTTP/1.1\r\nHost: {address}\r\nIdempotency-Key: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let requests = (0..orders).map(order).collect();
    Load::new(requests, 201, orders)
        .send(address, WRITERS)
        .await
}
