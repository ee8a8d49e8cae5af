//! What was committed in the last seconds, on any instance: this instance's own view of
//! both topics, ahead of the sink.
//!
//! It wakes whoever waits for an outcome, answers for an order that the database does
//! not have yet, and feeds the event stream.

mod follower;
mod ring;
mod undecided;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use shared::contract::{DeltaKind, Order, OrderId, Outcome, Timestamp, UserId};
use shared::metrics::Live;
use tokio::sync::{broadcast, oneshot};
use tokio::time::Instant;

use crate::settings::TailSettings;
pub(crate) use follower::Follower;
use ring::Ring;
use undecided::Undecided;

/// Events a slow reader of the stream may lag behind before it misses some.
const STREAM_BUFFER: usize = 1_024;

/// Something that was committed.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Order(Order),
    /// `owner`: whose order it is, as far as that is known.
    Outcome {
        outcome: Outcome,
        owner: Option<UserId>,
    },
}

/// What a request may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    Order,
    Outcome,
}

/// What the tail knows of one order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    pub(crate) order: Option<Order>,
    pub(crate) reserve: Option<Outcome>,
    pub(crate) release: Option<Outcome>,
}

#[derive(Clone)]
pub(crate) struct Tail {
    inner: Arc<Mutex<Inner>>,
    events: broadcast::Sender<Event>,
    decisions: Histogram,
}

struct Inner {
    ring: Ring,
    undecided: Undecided,
    waiting: HashMap<OrderId, Vec<(Awaited, oneshot::Sender<()>)>>,
}

impl Tail {
    pub(crate) fn new(settings: &TailSettings) -> Self {
        let inner = Inner {
            ring: Ring::new(settings),
            undecided: Undecided::default(),
            waiting: HashMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            events: broadcast::channel(STREAM_BUFFER).0,
            // 5 ms to 5.5 min.
            decisions: Histogram::new(exponential_buckets(0.005, 4.0, 9)),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "order_decision_seconds",
            "From an order's acceptance, on any instance, to its outcome's arrival here",
            self.decisions.clone(),
        );
        let tail = self.clone();
        registry.register(
            "oldest_undecided_order_age_seconds",
            "Age of the oldest order without an outcome, of all instances, 0 if there is none",
            Live::new(move || {
                tail.oldest_undecided()
                    .map_or(0.0, |(placed, _)| age(placed))
            }),
        );
    }

    /// When it was placed, and its id.
    pub(crate) fn oldest_undecided(&self) -> Option<(Timestamp, OrderId)> {
        self.inner.lock().undecided.oldest()
    }

    /// The catalog has decided it, unheard.
    pub(crate) fn forget_undecided(&self, id: OrderId) {
        self.inner.lock().undecided.decide(id);
    }

    pub(crate) fn recent(&self, id: OrderId) -> Recent {
        self.inner.lock().ring.recent(id)
    }

    /// The order that a user placed with this idempotency key, if it is recent.
    pub(crate) fn placed_with(&self, user: UserId, key: &str) -> Option<OrderId> {
        self.inner.lock().ring.placed_with(user, key)
    }

    /// Registers a wait. What arrives from now on wakes it, so register before sending.
    pub(crate) fn waiter(&self, id: OrderId, awaited: Awaited) -> Waiter {
        let (wake, woken) = oneshot::channel();
        self.inner
            .lock()
            .waiting
            .entry(id)
            .or_default()
            .push((awaited, wake));
        Waiter {
            tail: self.clone(),
            id,
            woken,
        }
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(crate) fn on_order(&self, order: Order) {
        self.keep(&order);
        self.send(Event::Order(order));
    }

    /// An order that is committed: one placed here is known before the topic brings it.
    pub(crate) fn keep(&self, order: &Order) {
        let mut inner = self.inner.lock();
        let id = order.id;
        // A copy of an order is not another one, and an outcome may be faster than its order.
        if !inner.ring.knows(id) {
            inner.undecided.add(id, order.created_at, order.user_id);
        }
        inner.ring.add_order(Instant::now(), order);
        inner.wake(id, Awaited::Order);
    }

    pub(crate) fn on_outcome(&self, outcome: Outcome) {
        let mut inner = self.inner.lock();
        let owner = inner.owner(outcome.order_id);
        if outcome.kind == DeltaKind::Reserve
            && let Some(placed_at) = inner.undecided.decide(outcome.order_id)
        {
            self.decisions.observe(age(placed_at));
        }
        inner.ring.add_outcome(Instant::now(), outcome);
        inner.wake(outcome.order_id, Awaited::Outcome);
        self.send(Event::Outcome { outcome, owner });
    }

    fn send(&self, event: Event) {
        // No reader, no event.
        self.events.send(event).ok();
    }
}

impl Inner {
    /// At full speed an order leaves the ring before it is decided.
    fn owner(&self, id: OrderId) -> Option<UserId> {
        let owner = self.ring.owner(id);
        owner.or_else(|| self.undecided.owner(id))
    }

    fn wake(&mut self, id: OrderId, arrived: Awaited) {
        let Some(waiters) = self.waiting.remove(&id) else {
            return;
        };
        let (woken, rest): (Vec<_>, Vec<_>) = waiters
            .into_iter()
            .partition(|(awaited, _)| *awaited == arrived);
        if !rest.is_empty() {
            self.waiting.insert(id, rest);
        }
        for (_, wake) in woken {
            wake.send(()).ok();
        }
    }
}

/// In seconds; the clocks of two hosts may disagree.
pub(crate) fn age(since: Timestamp) -> f64 {
    let millis = Timestamp::now().millis() - since.millis();
    Duration::from_millis(u64::try_from(millis).unwrap_or(0)).as_secs_f64()
}

/// A registered wait for one order; forgotten when dropped.
pub(crate) struct Waiter {
    tail: Tail,
    id: OrderId,
    woken: oneshot::Receiver<()>,
}

impl Waiter {
    /// Returns when it arrived, or at the deadline.
    pub(crate) async fn wait_until(mut self, deadline: Instant) {
        // Either way the caller looks at what is known now.
        drop(tokio::time::timeout_at(deadline, &mut self.woken).await);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.woken.close();
        let mut inner = self.tail.inner.lock();
        if let Some(waiters) = inner.waiting.get_mut(&self.id) {
            waiters.retain(|(_, wake)| !wake.is_closed());
            if waiters.is_empty() {
                inner.waiting.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use shared::contract::{ProductId, Status};

    use super::*;

    pub(crate) fn outcome(id: OrderId) -> Outcome {
        Outcome {
            order_id: id,
            kind: DeltaKind::Reserve,
            status: Status::Confirmed,
            reason: None,
            decided_at: Timestamp::now(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outcome_wakes_who_waits_for_it() {
        let tail = Tail::new(&TailSettings::default());
        let id = OrderId::random();
        let begun = Instant::now();
        let waiter = tail.waiter(id, Awaited::Outcome);
        let other = tail.waiter(OrderId::random(), Awaited::Outcome);
        tail.on_outcome(outcome(id));
        waiter.wait_until(begun + Duration::from_secs(60)).await;
        assert_eq!(Instant::now(), begun);
        other.wait_until(begun + Duration::from_secs(60)).await;
        assert_eq!(Instant::now(), begun + Duration::from_secs(60));
        assert!(tail.inner.lock().waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outcome_does_not_wake_who_waits_for_the_order() {
        let tail = Tail::new(&TailSettings::default());
        let id = OrderId::random();
        let deadline = Instant::now() + Duration::from_secs(60);
        let waiter = tail.waiter(id, Awaited::Order);
        tail.on_outcome(outcome(id));
        waiter.wait_until(deadline).await;
        assert_eq!(Instant::now(), deadline);
    }

    pub(crate) fn order(id: OrderId) -> Order {
        Order {
            id,
            user_id: UserId(1),
            product_id: ProductId(1),
            qty: 1,
            unit_price: 1,
            total_price: 1,
            created_at: Timestamp::now(),
            idempotency_key: None,
        }
    }

    fn shown(tail: &Tail) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        tail.register(&mut registry);
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn an_order_is_undecided_until_its_outcome_which_counts_once() {
        let tail = Tail::new(&TailSettings::default());
        let (early, late) = (OrderId::random(), OrderId::random());
        tail.on_order(Order {
            created_at: Timestamp::from_millis(Timestamp::now().millis() - 60_000).unwrap(),
            ..order(early)
        });
        tail.on_order(order(late));
        assert!(age(tail.oldest_undecided().unwrap().0) >= 60.0);
        tail.on_outcome(outcome(early));
        assert_eq!(tail.oldest_undecided().unwrap().1, late);
        tail.on_outcome(outcome(late));
        assert_eq!(tail.oldest_undecided(), None);

        // What arrives again was decided before.
        tail.on_order(order(late));
        tail.on_outcome(outcome(late));
        tail.on_outcome(outcome(early));
        assert_eq!(tail.oldest_undecided(), None);
        let shown = shown(&tail);
        assert!(
            shown.contains("order_decision_seconds_count 2\n"),
            "{shown}"
        );
        assert!(
            shown.contains("oldest_undecided_order_age_seconds 0.0\n"),
            "{shown}"
        );
    }

    #[test]
    fn an_outcome_may_be_faster_than_its_order() {
        let tail = Tail::new(&TailSettings::default());
        let id = OrderId::random();
        tail.on_outcome(outcome(id));
        tail.on_order(order(id));
        assert_eq!(tail.oldest_undecided(), None);
    }

    #[test]
    fn an_order_placed_here_is_known_at_once_and_streamed_when_it_arrives() {
        let tail = Tail::new(&TailSettings::default());
        let mut events = tail.events();
        let id = OrderId::random();
        tail.keep(&order(id));
        assert!(tail.recent(id).order.is_some());
        assert!(events.try_recv().is_err());
        tail.on_outcome(outcome(id));
        tail.on_order(order(id));
        assert_eq!(tail.oldest_undecided(), None);
        assert!(matches!(events.try_recv(), Ok(Event::Outcome { .. })));
        assert!(matches!(events.try_recv(), Ok(Event::Order(_))));
    }

    #[test]
    fn an_outcome_has_an_owner_though_its_order_has_left_the_ring() {
        let tail = Tail::new(&TailSettings {
            max_bytes: 1,
            ..TailSettings::default()
        });
        let mut events = tail.events();
        let id = OrderId::random();
        tail.keep(&order(id));
        tail.keep(&order(OrderId::random()));
        assert!(tail.recent(id).order.is_none());
        for known in [Some(UserId(1)), None] {
            tail.on_outcome(outcome(id));
            let Ok(Event::Outcome { owner, .. }) = events.try_recv() else {
                panic!("no outcome");
            };
            assert_eq!(owner, known);
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_is_forgotten() {
        let tail = Tail::new(&TailSettings::default());
        drop(tail.waiter(OrderId::random(), Awaited::Order));
        assert!(tail.inner.lock().waiting.is_empty());
    }
}
