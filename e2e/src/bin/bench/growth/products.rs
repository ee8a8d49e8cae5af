//! The catalog with ever more products, and with orders for ever more of them.

use std::path::Path;

use e2e::{Kind, World};
use shared::contract::{Delta, DeltaKind, OrderId, ProductId};

use super::Arguments;
use super::curves::Curves;
use super::drain::{Reader, drain, rate};
use super::read::{PRODUCT, Read, Service, any};
use crate::history::History;
use crate::measure::count;

/// At least one of each product.
const ORDERS: u64 = 100_000;
const PRODUCTS: [u32; 3] = [10, 1_000, 100_000];
const HOT: [u32; 3] = [1, 10, 100];

const READS: [Read; 2] = [
    PRODUCT,
    Read {
        path: "GET /catalog?cursor",
        service: Service::Catalog,
        requests: 2_000,
        url: |history| format!("/catalog?cursor={}", any(history.products)),
    },
];

pub(super) async fn run(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let mut curves = Curves::over("products");
    for products in PRODUCTS {
        let (world, history) = with_products(products).await?;
        for _ in 0..arguments.rounds {
            for read in &READS {
                let run = read.run(&world, history).await?;
                curves.add_requests(read.path, products, run);
            }
            let rate = apply(&world, arguments.orders, products).await?;
            curves.add_rate("catalog: apply", products, rate);
        }
        world.stop().await?;
    }
    curves.save(into, "growth-products")?;

    let mut curves = Curves::over("hot products, which all orders are for");
    let (world, _) = with_products(1_000).await?;
    for hot in HOT {
        for _ in 0..arguments.rounds {
            let rate = apply(&world, arguments.orders, hot).await?;
            curves.add_rate("catalog: apply", hot, rate);
        }
    }
    world.stop().await?;
    curves.save(into, "growth-hot")
}

async fn with_products(products: u32) -> anyhow::Result<(World, History)> {
    let world = World::start(Kind::WorkerMariadb).await?;
    let history = History {
        orders: ORDERS,
        products: products.into(),
    };
    history.write().await?;
    // It has nothing to do with the catalog's speed.
    world.sink.stop().await?;
    Ok((world, history))
}

/// How many deltas the catalog applies in a second, where these products take turns.
async fn apply(world: &World, deltas: usize, products: u32) -> anyhow::Result<f64> {
    let catalog = Reader::catalog(world)?;
    catalog.stop().await?;
    let deltas: Vec<_> = (0..products)
        .cycle()
        .take(deltas)
        .map(|number| Delta {
            order_id: OrderId::random(),
            product_id: ProductId(i64::from(number) + 1),
            kind: DeltaKind::Reserve,
            delta: -1,
        })
        .map(|delta| (delta.product_id.to_string(), delta.encode()))
        .collect();
    let records = deltas.iter().map(|(key, value)| (&**key, Some(&**value)));
    world.kafka.produce_keyed("catalog_deltas", records).await?;
    Ok(rate(&drain(&[catalog], count(deltas.len())).await?))
}
