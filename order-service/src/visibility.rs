//! How long an order takes from its acceptance until the database shows it decided, whichever
//! sink writes: one order at a time is looked up until it is there. And whether the catalog
//! has really not decided what the tail takes for undecided.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use shared::contract::{OrderId, Timestamp};
use shared::metrics::Live;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::read_model::ReadModel;
use crate::tail::{Tail, age};

/// Between two orders.
const EVERY: Duration = Duration::from_secs(1);
/// How late an order is given up; it counts as one that took so long.
const LONGEST: Duration = Duration::from_secs(600);
/// Between two looks at an order: a quarter of its age, so that this is how wrong the result
/// can be.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const RAREST_LOOK: Duration = Duration::from_secs(1);
/// What the tail has not seen decided for so long may have been decided behind its back.
const DOUBTFUL: f64 = 5.0;
const DOUBTS: usize = 100;
/// Seconds.
const BUCKETS: [f64; 12] = [
    0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Where requests leave the orders that they have placed.
#[derive(Clone)]
pub(crate) struct Accepted(mpsc::Sender<(OrderId, Timestamp)>);

impl Accepted {
    /// Costs nothing: unless an order is waited for, this one is ignored.
    pub(crate) fn offer(&self, id: OrderId, placed_at: Timestamp) {
        self.0.try_send((id, placed_at)).ok();
    }
}

pub(crate) struct Visibility {
    accepted: mpsc::Receiver<(OrderId, Timestamp)>,
    /// When the order was placed that is being looked for.
    sought: Arc<Mutex<Option<Timestamp>>>,
    duration: Histogram,
}

impl Visibility {
    pub(crate) fn register(registry: &mut Registry) -> (Self, Accepted) {
        let (offered, accepted) = mpsc::channel(1);
        let visibility = Self {
            accepted,
            sought: Arc::default(),
            duration: Histogram::new(BUCKETS),
        };
        registry.register(
            "order_visible_seconds",
            "From an order's acceptance here to its rows in the database, of one order a second",
            visibility.duration.clone(),
        );
        let sought = Arc::clone(&visibility.sought);
        registry.register(
            "order_invisible_age_seconds",
            "Age of the sampled order whose rows are not in the database yet, 0 if there is none",
            Live::new(move || sought.lock().map_or(0.0, age)),
        );
        (visibility, Accepted(offered))
    }

    pub(crate) async fn run(
        mut self,
        read_model: ReadModel,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        let measuring = async {
            while self.measure_one(&read_model).await.is_some() {
                sleep(EVERY).await;
            }
        };
        stop.run_until_cancelled(measuring).await;
        Ok(())
    }

    /// `None` once nobody is left to place one.
    async fn measure_one(&mut self, read_model: &ReadModel) -> Option<()> {
        // What waits since the last one is there may be there as well by now.
        while self.accepted.try_recv().is_ok() {}
        let (id, placed_at) = self.accepted.recv().await?;
        *self.sought.lock() = Some(placed_at);
        let begun = Instant::now();
        while !is_decided(read_model, id).await && begun.elapsed() < LONGEST {
            sleep((begun.elapsed() / 4).clamp(FIRST_LOOK, RAREST_LOOK)).await;
        }
        *self.sought.lock() = None;
        self.duration.observe(age(placed_at));
        Some(())
    }
}

/// Of every order that should long be decided: the outcome may have come before the order,
/// or while the tail was away.
pub(crate) async fn doubt_the_tail(
    tail: Tail,
    read_model: ReadModel,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let doubting = async {
        loop {
            sleep(EVERY).await;
            for _ in 0..DOUBTS {
                match tail.oldest_undecided() {
                    Some((placed_at, id))
                        if age(placed_at) > DOUBTFUL && is_decided(&read_model, id).await =>
                    {
                        tail.forget_undecided(id);
                    }
                    _ => break,
                }
            }
        }
    };
    stop.run_until_cancelled(doubting).await;
    Ok(())
}

/// Whether the database says so.
async fn is_decided(read_model: &ReadModel, id: OrderId) -> bool {
    let found = read_model.order(id).await;
    found.is_ok_and(|known| known.is_some_and(|known| known.reserve.is_some()))
}
