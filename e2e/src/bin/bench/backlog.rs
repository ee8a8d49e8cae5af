//! How fast the readers catch up with what the load has left.

use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::World;

use crate::measure::count;

/// To count the rows of whole tables.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Where a look costs next to nothing.
pub(crate) const LOOK_OFTEN: Duration = Duration::from_millis(10);
/// Longer than any backlog takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// Starts the catalog, then the sink, and times each from its first row to its last.
pub(crate) async fn drain(world: &World, orders: usize) -> anyhow::Result<()> {
    println!("Backlog of {orders} orders, {} products", crate::PRODUCTS);
    println!("| reader | rows | rate |");
    println!("|---|---|---|");
    world.process("catalog-service")?.start_again()?;
    let ledger = async || {
        let reservations = world.catalog_database.count_reservations().await?;
        Ok(usize::try_from(reservations)?)
    };
    row("catalog: deltas applied", orders, ledger).await?;
    // Kafka Connect's interface answers before a task runs; rows tell.
    world.sink.start().await?;
    let written = async || {
        let rows = world.orders_database.count_rows().await?;
        Ok(usize::try_from(rows)?)
    };
    row("sink: rows written", 2 * orders, written).await?;
    println!();
    Ok(())
}

async fn row(
    name: &str,
    expected: usize,
    rows: impl AsyncFn() -> anyhow::Result<usize>,
) -> anyhow::Result<()> {
    eprintln!("{name}: {expected} to come");
    let is_done = async || Ok(rows().await? >= expected);
    let rate = rate(expected, LOOK_EVERY, &rows, is_done).await?;
    println!("| {name} | {expected} | {rate:.0}/s |");
    Ok(())
}

/// Records per second, from the first that a reader is seen to have worked off to the last of so
/// many, by looks so often.
pub(crate) async fn rate(
    records: usize,
    every: Duration,
    worked_off: impl AsyncFn() -> anyhow::Result<usize>,
    is_done: impl AsyncFn() -> anyhow::Result<bool>,
) -> anyhow::Result<f64> {
    let first = async || {
        let (now, first) = (Instant::now(), worked_off().await?);
        Ok((first > 0).then_some((now, first)))
    };
    let (begun, at_first) = until("the first record is worked off", every, first).await?;
    let last = async || Ok(is_done().await?.then_some(()));
    until("the last record is worked off", every, last).await?;
    Ok(count(records.saturating_sub(at_first)) / begun.elapsed().as_secs_f64())
}

/// Waits until so many orders are decided and written.
pub(crate) async fn written(world: &World, orders: usize) -> anyhow::Result<()> {
    let expected = u64::try_from(2 * orders)?;
    let all = async || {
        let rows = world.orders_database.count_rows().await?;
        Ok((rows >= expected).then_some(()))
    };
    until("everything is written", LOOK_EVERY, all).await
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
