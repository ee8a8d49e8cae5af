use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use e2e::within;
use shared::contract::OrderId;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::pair::Pair;

/// The first so many orders after a fault: enough to be on every partition.
const WATCHED: usize = 24;
/// Of a fault, while others go on: those that follow may hit what has just come back.
const RECOVERS_WITHIN: Duration = Duration::from_secs(300);
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// Many faults are watched at a time, and the database has other work.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// An order was answered 201.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) id: OrderId,
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
}

/// From a fault to what became of the first orders that were sent after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovery {
    /// To the next 201.
    pub(crate) answer: Duration,
    /// To the next of their deltas applied, and to the last.
    pub(crate) deltas: (Duration, Duration),
    /// To the next of their rows in the orders database, and to the last.
    pub(crate) rows: (Duration, Duration),
}

/// Watches the first orders after `since`.
pub(crate) async fn recovery(
    pair: &Pair,
    placed: Receiver<Placed>,
    since: Instant,
) -> anyhow::Result<Recovery> {
    let ids = RefCell::new(Vec::new());
    let (answer, deltas, rows) = tokio::try_join!(
        collect(placed, since, &ids),
        arrival("deltas applied", since, &ids, async |ids| {
            Ok(pair.catalog_database.count_reserved(&ids).await?)
        }),
        arrival("rows written", since, &ids, async |ids| {
            Ok(pair.orders_database.count_orders(&ids).await?)
        }),
    )?;
    Ok(Recovery {
        answer,
        deltas,
        rows,
    })
}

/// Returns when the first was answered, once it has them all.
async fn collect(
    mut placed: Receiver<Placed>,
    since: Instant,
    ids: &RefCell<Vec<OrderId>>,
) -> anyhow::Result<Duration> {
    let deadline = tokio::time::Instant::from_std(since + RECOVERS_WITHIN);
    let mut first = None;
    while ids.borrow().len() < WATCHED {
        let next = tokio::time::timeout_at(deadline, placed.recv()).await;
        match next.context("too few orders answered 201")? {
            Ok(order) if order.sent > since => {
                first.get_or_insert(order.answered - since);
                ids.borrow_mut().push(order.id);
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => break,
        }
    }
    first.context("no order was placed after it")
}

/// When the first and the last of the orders were there.
async fn arrival(
    what: &str,
    since: Instant,
    ids: &RefCell<Vec<OrderId>>,
    count: impl AsyncFn(Vec<OrderId>) -> anyhow::Result<u64>,
) -> anyhow::Result<(Duration, Duration)> {
    let mut first = None;
    let left = RECOVERS_WITHIN.saturating_sub(since.elapsed());
    within(left, what, async || {
        let asked = ids.borrow().clone();
        let found = tokio::time::timeout(ASK_WITHIN, count(asked)).await??;
        if found > 0 {
            first.get_or_insert(since.elapsed());
        }
        let last = since.elapsed();
        if usize::try_from(found)? < WATCHED {
            tokio::time::sleep(ASK_EVERY).await;
            bail!("{found} of {WATCHED}");
        }
        Ok(Some((first.unwrap_or(last), last)))
    })
    .await
}
