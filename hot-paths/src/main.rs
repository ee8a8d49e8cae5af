//! Runs one of the paths that every record takes, so many times.

use std::collections::HashMap;
use std::hint::black_box;
use std::process::ExitCode;

use catalog_service::applier::{View, decide};
use clap::{Parser, ValueEnum};
use connect_worker::dialect::{self, TableName, Target, TargetColumn};
use sea_orm::DbBackend;
use shared::connect_json::{Decoder, Rules, Schema, Value};
use shared::contract::{Delta, DeltaKind, Order, OrderId, ProductId, Timestamp, UserId};
use shared::service::report;

const BATCH: usize = 1_000;
const PRODUCTS: i64 = 100;

/// Runs what runs for every record. `cargo xtask counts` counts the instructions.
#[derive(Parser)]
#[command(name = "hot-paths", version, help_expected = true, after_help = HELP)]
struct Arguments {
    /// What to run
    #[arg(value_enum)]
    path: Path,
    /// How many times
    #[arg(default_value_t = 1)]
    times: usize,
}

const HELP: &str = "\
Examples:
  valgrind --tool=callgrind target/debug/hot-paths encode-order 1000";

#[derive(Clone, Copy, ValueEnum)]
enum Path {
    /// An order to the bytes of its record
    EncodeOrder,
    /// The bytes of a record to a delta
    DecodeDelta,
    /// What 1,000 deltas on 100 products do to stock and ledger
    DecideBatch,
    /// The bytes of an order's record to a Connect value, its schema known
    DecodeEnvelope,
    /// MariaDB's upsert of 1,000 orders, with its values
    BuildUpsert,
}

fn main() -> ExitCode {
    let Arguments { path, times } = Arguments::parse();
    report(match path {
        Path::EncodeOrder => encode_order(times),
        Path::DecodeDelta => decode_delta(times),
        Path::DecideBatch => decide_batch(times),
        Path::DecodeEnvelope => decode_envelope(times),
        Path::BuildUpsert => build_upsert(times),
    })
}

fn encode_order(times: usize) -> anyhow::Result<()> {
    let order = order(1)?;
    for _ in 0..times {
        black_box(black_box(&order).encode());
    }
    Ok(())
}

fn decode_delta(times: usize) -> anyhow::Result<()> {
    let record = delta(1)?.encode();
    for _ in 0..times {
        black_box(Delta::decode(black_box(&record))?);
    }
    Ok(())
}

fn decide_batch(times: usize) -> anyhow::Result<()> {
    let deltas: Vec<_> = (0..BATCH).map(delta).collect::<Result<_, _>>()?;
    let now = time()?;
    for _ in 0..times {
        let view = View {
            stock: (1..=PRODUCTS).map(|id| (ProductId(id), 1_000)).collect(),
            ledger: HashMap::new(),
        };
        black_box(decide(view, black_box(&deltas), now));
    }
    Ok(())
}

fn decode_envelope(times: usize) -> anyhow::Result<()> {
    let record = order(1)?.encode();
    let mut decoder = Decoder::new(Rules::default());
    decoder.decode(Some(&record))?;
    for _ in 0..times {
        black_box(decoder.decode(Some(black_box(&record)))?);
    }
    Ok(())
}

fn build_upsert(times: usize) -> anyhow::Result<()> {
    let mut decoder = Decoder::new(Rules::default());
    let record = decoder.decode(Some(&order(1)?.encode()))?;
    let record = record.ok_or_else(|| anyhow::anyhow!("an order has a value"))?;
    let (Some(schema), Value::Struct(row)) = (record.schema, record.value) else {
        anyhow::bail!("an order has a schema and is a struct");
    };
    let target = orders_table(&schema);
    let dialect = dialect::for_backend(DbBackend::MySql);
    for _ in 0..times {
        black_box(dialect.insert(black_box(&target), BATCH, true));
        for _ in 0..BATCH {
            for (value, column) in row.iter().zip(&target.columns) {
                black_box(dialect.bind(black_box(value), column)?);
            }
        }
    }
    Ok(())
}

fn orders_table(schema: &Schema) -> Target {
    let column = |field: &shared::connect_json::Field| TargetColumn {
        name: field.name.clone(),
        db_type: match &*field.name {
            "id" | "idempotency_key" => "varchar",
            "created_at" => "datetime",
            "qty" => "int",
            _ => "bigint",
        }
        .to_owned(),
        schema: field.schema.clone(),
        is_key: field.name == "id",
    };
    Target {
        table: TableName {
            schema: None,
            name: "orders".to_owned(),
        },
        columns: schema.fields().iter().map(column).collect(),
    }
}

/// The same in every run, which decides how hash maps collide.
fn id(number: usize) -> anyhow::Result<OrderId> {
    Ok(format!("0193b5a0-0000-7000-8000-{number:012x}").parse()?)
}

fn time() -> anyhow::Result<Timestamp> {
    Timestamp::from_millis(1_764_000_000_123).ok_or_else(|| anyhow::anyhow!("a time"))
}

fn order(number: usize) -> anyhow::Result<Order> {
    Ok(Order {
        id: id(number)?,
        user_id: UserId(12_345),
        product_id: ProductId(67),
        qty: 5,
        unit_price: 1_200,
        total_price: 6_000,
        created_at: time()?,
        idempotency_key: Some("checkout-0193b5a0".to_owned()),
    })
}

fn delta(number: usize) -> anyhow::Result<Delta> {
    Ok(Delta {
        order_id: id(number)?,
        product_id: ProductId(i64::try_from(number)? % PRODUCTS + 1),
        kind: DeltaKind::Reserve,
        delta: -5,
    })
}
