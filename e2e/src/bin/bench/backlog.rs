//! How fast the readers catch up with what the load has left.

use std::time::{Duration, Instant};

use e2e::{Pace, World};

use crate::measure::count;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Starts the catalog, then the sink, and times each from its first row to its last.
pub(crate) async fn drain(world: &World, orders: usize) -> anyhow::Result<()> {
    let orders = u64::try_from(orders)?;
    println!("Backlog of {orders} orders, {} products", crate::PRODUCTS);
    println!("| reader | rows | rate |");
    println!("|---|---|---|");
    world.process("catalog-service")?.start_again()?;
    let ledger = async || Ok(world.catalog_database.count_reservations().await?);
    row("catalog: deltas applied", orders, ledger).await?;
    // Kafka Connect's interface answers before a task runs; rows tell.
    world.sink.start().await?;
    let written = async || Ok(world.orders_database.count_rows().await?);
    row("sink: rows written", 2 * orders, written).await?;
    println!();
    Ok(())
}

async fn row(
    name: &str,
    expected: u64,
    look: impl AsyncFn() -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let (rows, rate) = time_rows(expected, look).await?;
    println!("| {name} | {rows} | {rate:.0}/s |");
    Ok(())
}

/// Waits for so many rows; how many there are, and their rate since the first were seen.
pub(crate) async fn time_rows(
    expected: u64,
    look: impl AsyncFn() -> anyhow::Result<u64>,
) -> anyhow::Result<(u64, f64)> {
    let mut first = None;
    let mut pace = Pace::default();
    loop {
        let (now, rows) = (Instant::now(), look().await?);
        let (begun, at_first) = *first.get_or_insert((now, rows));
        if at_first == 0 {
            first = None;
        } else if rows >= expected {
            let done = usize::try_from(rows - at_first)?;
            let rate = count(done) / now.duration_since(begun).as_secs_f64();
            return Ok((rows, rate));
        }
        if pace.is_due() {
            eprintln!("{rows} of {expected} rows");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
