//! How fast the readers catch up with what the load has left.

use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::{Pace, World};

use crate::measure::count;

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Where a look costs next to nothing.
const LOOK_OFTEN: Duration = Duration::from_millis(10);
/// Longer than any backlog takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

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

/// Records per second, from the first that a reader is seen to have worked off to the last of so
/// many. Both looks are repeated all the time, so they must be cheap.
pub(crate) async fn rate(
    records: usize,
    worked_off: impl AsyncFn() -> anyhow::Result<usize>,
    is_done: impl AsyncFn() -> anyhow::Result<bool>,
) -> anyhow::Result<f64> {
    let first = async || {
        let (now, first) = (Instant::now(), worked_off().await?);
        Ok((first > 0).then_some((now, first)))
    };
    let (begun, at_first) = until("the first record is worked off", LOOK_OFTEN, first).await?;
    let last = async || Ok(is_done().await?.then_some(()));
    until("the last record is worked off", LOOK_OFTEN, last).await?;
    Ok(count(records.saturating_sub(at_first)) / begun.elapsed().as_secs_f64())
}

/// Looks until there is something to see.
pub(crate) async fn until<T>(
    what: &str,
    every: Duration,
    look: impl AsyncFn() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        ensure!(
            Instant::now() < deadline,
            "{what}: not within {} s",
            PATIENCE.as_secs()
        );
        tokio::time::sleep(every).await;
    }
}
