//! The catalog-service works off a backlog of deltas, against bare SQL that changes the same rows.

use std::time::Instant;

use e2e::{Kind, Signal, World};
use migrations::Database;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait, Value};
use shared::contract::{OrderId, ProductId, Timestamp};

use crate::backlog::LOOK_OFTEN;
use crate::bare::{self, Topics};
use crate::footprint::{Cost, Observed, load, server};
use crate::measure::{count, median_of};
use crate::report::{Findings, Plot, Reached, Table, figure};
use crate::{Arguments, PRODUCTS, STOP_WITHIN, backlog, rows};

/// The backlog, in runs of `POST /orders`.
const RUNS: usize = 5;
/// Orders in each transaction of the backlog.
const IN_FLIGHT: usize = 1_000;
/// As the service's `applier.max_batch`.
const BATCH: usize = 2_048;
/// Rows of the ledger in one statement, as the service writes them.
const PIECE: usize = 512;

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Findings> {
    let deltas = arguments.orders * RUNS;
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    // Alone on the machine with broker and database, as the limit is.
    world.process("order-service-a")?.kill()?;
    world.process("order-service-b")?.kill()?;
    world.sink.stop().await?;
    let mut bare = Bare::new().await?;
    let mut cost = Cost::default();
    let mut measured = Vec::new();
    // The first one is slower.
    drain(&world, deltas, &mut Cost::default()).await?;
    for round in 1..=arguments.rounds {
        let limit = bare.apply(deltas).await?;
        let service = drain(&world, deltas, &mut cost).await?;
        eprintln!(
            "catalog, round {round} of {}: bare {limit:.0}/s, service {service:.0}/s",
            arguments.rounds
        );
        measured.push([limit, service]);
    }
    bare.end().await?;
    world.stop().await?;
    Ok(findings(deltas, &measured, &cost))
}

/// Lets the service find a backlog; how many deltas it applies in a second.
async fn drain(world: &World, deltas: usize, cost: &mut Cost) -> anyhow::Result<f64> {
    let process = world.process("catalog-service")?;
    // Told to, not killed: so its group lets the next one in at once.
    process.stop(Signal::Terminate, STOP_WITHIN).await?;
    bare::run(
        world.kafka.bootstrap_servers(),
        Topics::PAIR,
        deltas,
        IN_FLIGHT,
    )
    .await?;
    let full = world.catalog_database.total_stock().await?;
    let applied = async || {
        let left = world.catalog_database.total_stock().await?;
        Ok(usize::try_from(full - left)?)
    };
    process.start_again()?;
    let service = Observed {
        name: "catalog-service",
        id: process.id()?,
    };
    let observed = [service, server("kafka")?, server("mariadb")?, load()];
    let is_done = async || Ok(applied().await? >= deltas);
    let rate = backlog::rate(deltas, LOOK_OFTEN, applied, is_done);
    cost.of(&observed, deltas, rate).await
}

/// The limit: one connection, as many deltas in a transaction as the service takes, and nothing
/// read.
struct Bare {
    db: DatabaseConnection,
    /// What is left of each product.
    stock: i64,
}

impl Bare {
    const DATABASE: &str = "test_bench_catalog";

    async fn new() -> anyhow::Result<Self> {
        let db = rows::database(Self::DATABASE, Database::Catalog).await?;
        Ok(Self {
            db,
            stock: 1_000_000_000,
        })
    }

    async fn apply(&mut self, deltas: usize) -> anyhow::Result<f64> {
        let reserved: Vec<_> = (0..deltas)
            .map(|number| Ok((OrderId::random(), rows::product(number)?)))
            .collect::<anyhow::Result<_>>()?;
        let begun = Instant::now();
        for batch in reserved.chunks(BATCH) {
            self.stock -= i64::try_from(batch.len() / PRODUCTS)?;
            let transaction = self.db.begin().await?;
            for piece in batch.chunks(PIECE) {
                transaction.execute_raw(ledger(piece)).await?;
            }
            transaction.execute_raw(stock(self.stock)?).await?;
            transaction.commit().await?;
        }
        Ok(count(deltas) / begun.elapsed().as_secs_f64())
    }

    async fn end(self) -> anyhow::Result<()> {
        rows::drop_database(self.db, Self::DATABASE).await
    }
}

fn ledger(reserved: &[(OrderId, ProductId)]) -> Statement {
    const COLUMNS: [&str; 7] = [
        "reference",
        "kind",
        "product_id",
        "delta",
        "status",
        "reason",
        "decided_at",
    ];
    /// As the service writes it.
    const CONFIRMED: &str = "?, 'reserve', ?, ?, 'CONFIRMED', NULL, ?";
    let now = Timestamp::now().to_value(DbBackend::MySql);
    let rows = reserved.iter().map(|(order, product)| -> [Value; 4] {
        [
            order.to_string().into(),
            product.0.into(),
            (-1_i64).into(),
            now.clone(),
        ]
    });
    rows::insert_as("stock_ledger", &COLUMNS, CONFIRMED, rows, &[])
}

/// All products, each with this quantity.
fn stock(qty: i64) -> anyhow::Result<Statement> {
    const COLUMNS: [&str; 5] = ["product_id", "name", "unit_price", "qty", "updated_at"];
    let now = Timestamp::now().to_value(DbBackend::MySql);
    let mut products = Vec::with_capacity(PRODUCTS);
    for number in 0..PRODUCTS {
        let product = rows::product(number)?;
        products.push([
            product.0.into(),
            format!("Product {product}").into(),
            1_200_i64.into(),
            qty.into(),
            now.clone(),
        ]);
    }
    let update = ["qty", "updated_at"];
    Ok(rows::insert(
        "stock",
        COLUMNS,
        products.into_iter(),
        &update,
    ))
}

fn findings(deltas: usize, measured: &[[f64; 2]], cost: &Cost) -> Findings {
    let title = format!(
        "A backlog of {deltas} deltas of {PRODUCTS} products, median of {} rounds",
        measured.len()
    );
    let limit = median_of(measured, |[limit, _]| limit);
    let service = median_of(measured, |[_, service]| service);
    let ratio = median_of(measured, |[limit, service]| service / limit);
    let things = ["bare SQL, one connection", "catalog-service"];
    let mut table = Table::new(&title, &["applied by", "rate", "ratio"]);
    table.row([things[0].into(), figure(limit, "/s"), figure(1.0, "")]);
    table.row([things[1].into(), figure(service, "/s"), figure(ratio, "")]);
    Findings {
        tables: vec![table],
        plots: vec![Plot::by_round(&title, "deltas/s", things, measured)],
        reached: vec![Reached {
            path: "catalog: deltas applied".to_owned(),
            figure: figure(service, "/s"),
            limit: figure(limit, "/s"),
            limited_by: "bare SQL",
            ratio,
            goal: "≥ 0.7",
        }],
        costs: cost.rows("catalog's backlog"),
    }
}
