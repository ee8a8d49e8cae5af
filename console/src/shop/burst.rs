use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::Mutex;

use super::{NewOrder, Sent, Shop};
use crate::audit::Answer;
use crate::snapshot::{Burst, Product};

pub(crate) const MAX_BURST: u32 = 10_000;
/// Orders in flight; their group commits are what makes the pair fast.
const AT_ONCE: usize = 64;
/// Whose orders they are.
const USER: i64 = 2;
const MAX_QTY: i32 = 3;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BurstError {
    #[error("a burst is running; wait for its end")]
    Running,
    #[error("there is nothing to order: the catalog is empty, or does not answer")]
    NoProducts,
}

/// The last burst, and how long its orders took.
#[derive(Default)]
pub(super) struct Bursts(Mutex<State>);

#[derive(Default)]
struct State {
    burst: Burst,
    begun: Option<Instant>,
    took: Vec<Duration>,
}

impl Bursts {
    pub(super) fn state(&self) -> Burst {
        self.0.lock().burst.clone()
    }

    fn begin(&self, asked: u32) -> Result<(), BurstError> {
        let mut state = self.0.lock();
        if state.burst.running {
            return Err(BurstError::Running);
        }
        *state = State {
            burst: Burst {
                running: true,
                asked,
                ..Burst::default()
            },
            begun: Some(Instant::now()),
            took: Vec::new(),
        };
        Ok(())
    }

    fn count(&self, sent: &Sent, took: Duration) {
        let mut state = self.0.lock();
        let burst = &mut state.burst;
        burst.repeated += sent.attempts.saturating_sub(1);
        match sent.answer {
            Answer::Acknowledged => burst.acknowledged += 1,
            Answer::Refused => burst.refused += 1,
            Answer::Unknown => burst.unknown += 1,
        }
        state.took.push(took);
        state.measure();
    }

    fn end(&self) {
        let mut state = self.0.lock();
        state.burst.running = false;
        state.took.sort();
        let quantile = |q: usize| {
            let at = (state.took.len() * q / 100).min(state.took.len().checked_sub(1)?);
            Some(state.took[at].as_secs_f64() * 1_000.0)
        };
        (state.burst.p50, state.burst.p99) = (quantile(50), quantile(99));
    }
}

impl State {
    fn measure(&mut self) {
        let seconds = self
            .begun
            .map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        if seconds > 0.0 {
            self.burst.rate = f64::from(self.burst.acknowledged) / seconds;
        }
    }
}

impl Shop {
    /// Goes on by itself; its state tells how far it is.
    pub(crate) fn begin_burst(self: &Arc<Self>, count: u32) -> Result<(), BurstError> {
        let products = self.products();
        if products.is_empty() {
            return Err(BurstError::NoProducts);
        }
        self.bursts.begin(count)?;
        let shop = Arc::clone(self);
        tokio::spawn(async move {
            let orders = stream::iter(0..count).map(|_| {
                let order = any_order(&products);
                let shop = &shop;
                async move {
                    let begun = Instant::now();
                    let sent = shop.place(&order, None).await;
                    shop.bursts.count(&sent, begun.elapsed());
                }
            });
            orders.buffer_unordered(AT_ONCE).collect::<()>().await;
            shop.bursts.end();
        });
        Ok(())
    }
}

fn any_order(products: &[Product]) -> NewOrder {
    let product = &products[fastrand::usize(..products.len())];
    NewOrder {
        user_id: USER,
        product_id: product.product_id.0,
        qty: fastrand::i32(1..=MAX_QTY),
        unit_price: product.unit_price,
    }
}
