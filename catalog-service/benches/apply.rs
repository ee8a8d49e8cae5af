//! Deltas per second through one applier's database work, 100 products, in batches as
//! the service makes them:
//! `cargo bench -p catalog-service --features stack -- mysql://user:password@host/database`.
//! The catalog's tables there are made anew.

#![allow(clippy::print_stdout, reason = "the figure is the purpose")]

use std::time::Instant;

use catalog_service::Metrics;
use catalog_service::applier::{Decision, apply};
use catalog_service::catalog::{Catalog, ProductDetails};
use catalog_service::routes::ProductRequest;
use migrations::Database;
use shared::contract::{Delta, DeltaKind, OrderId, ProductId, Status};
use shared::settings::DatabaseSettings;

const PRODUCTS: i64 = 100;
const BATCHES: usize = 60;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(url) = std::env::args().find(|argument| argument.contains("://")) else {
        println!("give the URL of a database whose stock may be lost, after `--`");
        return Ok(());
    };
    let db = shared::database::connect(&DatabaseSettings::at(&url)).await?;
    migrations::down(&db, Database::Catalog).await?;
    migrations::up(&db, Database::Catalog).await?;
    let catalog = Catalog {
        db,
        conflicts: Default::default(),
    };
    for product in 1..=PRODUCTS {
        let request = ProductRequest {
            name: "Cup".to_owned(),
            unit_price: 1,
            qty: 1_000_000,
        };
        let details = ProductDetails::try_from((ProductId(product), request));
        catalog
            .put(&details.map_err(|errors| anyhow::anyhow!("{errors:?}"))?)
            .await?;
    }
    for size in [100, 500, 2_048] {
        measure(&catalog, size).await?;
    }
    Ok(())
}

async fn measure(catalog: &Catalog, size: i64) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let begun = Instant::now();
    let mut confirmed = 0;
    let mut total = 0;
    for batch in 0..BATCHES {
        // Batches differ in size, as they do in the service.
        let deltas: Vec<_> = (0..size - i64::try_from(batch)?).map(reserve).collect();
        total += deltas.len();
        let decisions = apply(&catalog.db, &deltas, &metrics).await?;
        confirmed += decisions
            .iter()
            .filter(|decision| is_confirmed(decision))
            .count();
    }
    let seconds = begun.elapsed().as_secs_f64();
    anyhow::ensure!(confirmed == total, "{confirmed} of {total} confirmed");
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = total as f64 / seconds;
    println!("batches of up to {size}: {rate:.0} deltas/s ({total} in {seconds:.2} s)");
    Ok(())
}

fn reserve(n: i64) -> Delta {
    Delta {
        order_id: OrderId::random(),
        product_id: ProductId(n % PRODUCTS + 1),
        kind: DeltaKind::Reserve,
        delta: -1,
    }
}

fn is_confirmed(decision: &Decision) -> bool {
    matches!(decision, Decision::Applied(Some(fact)) if fact.status == Status::Confirmed)
}
