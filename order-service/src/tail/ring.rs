use std::collections::hash_map::Entry::Occupied;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use shared::contract::{DeltaKind, Order, OrderId, Outcome, UserId};
use tokio::time::Instant;

use super::Recent;
use crate::settings::TailSettings;

/// What a record takes in the maps, about; a text of its own comes on top.
const RECORD_BYTES: usize = 300;

/// The records of the last seconds by order, bounded in time and bytes.
pub(super) struct Ring {
    window: Duration,
    max_bytes: usize,
    bytes: usize,
    arrivals: VecDeque<Arrival>,
    entries: HashMap<OrderId, Entry>,
    by_key: HashMap<(UserId, String), OrderId>,
}

struct Arrival {
    at: Instant,
    id: OrderId,
    bytes: usize,
}

/// One order's records.
#[derive(Default)]
struct Entry {
    records: u32,
    recent: Recent,
}

impl Ring {
    pub(super) fn new(settings: &TailSettings) -> Self {
        Self {
            window: Duration::from_secs(settings.window_s),
            max_bytes: settings.max_bytes,
            bytes: 0,
            arrivals: VecDeque::new(),
            entries: HashMap::new(),
            by_key: HashMap::new(),
        }
    }

    /// A copy of an order takes no room.
    pub(super) fn add_order(&mut self, now: Instant, order: &Order) {
        let id = order.id;
        let known = self.entries.get(&id);
        if known.is_some_and(|entry| entry.recent.order.is_some()) {
            return;
        }
        let key = order.idempotency_key.clone();
        self.arrive(now, id, key.as_ref().map_or(0, String::len));
        if let Some(key) = key {
            self.by_key.insert((order.user_id, key), id);
        }
        self.entries.entry(id).or_default().recent.order = Some(order.clone());
    }

    pub(super) fn add_outcome(&mut self, now: Instant, outcome: Outcome) {
        self.arrive(now, outcome.order_id, 0);
        let recent = &mut self.entries.entry(outcome.order_id).or_default().recent;
        match outcome.kind {
            DeltaKind::Reserve => recent.reserve = Some(outcome),
            DeltaKind::Release => recent.release = Some(outcome),
        }
    }

    pub(super) fn recent(&self, id: OrderId) -> Recent {
        self.entries
            .get(&id)
            .map(|entry| entry.recent.clone())
            .unwrap_or_default()
    }

    pub(super) fn owner(&self, id: OrderId) -> Option<UserId> {
        let order = self.entries.get(&id)?.recent.order.as_ref();
        order.map(|order| order.user_id)
    }

    /// Whether the order or the fact of its reservation is here.
    pub(super) fn knows(&self, id: OrderId) -> bool {
        self.entries.get(&id).is_some_and(|entry| {
            let Recent { order, reserve, .. } = &entry.recent;
            order.is_some() || reserve.is_some()
        })
    }

    pub(super) fn placed_with(&self, user: UserId, key: &str) -> Option<OrderId> {
        self.by_key.get(&(user, key.to_owned())).copied()
    }

    fn arrive(&mut self, at: Instant, id: OrderId, text: usize) {
        let bytes = RECORD_BYTES + text;
        self.arrivals.push_back(Arrival { at, id, bytes });
        self.entries.entry(id).or_default().records += 1;
        self.bytes += bytes;
        while let Some(oldest) = self.arrivals.front() {
            let fits = self.bytes <= self.max_bytes || self.arrivals.len() == 1;
            if fits && at.duration_since(oldest.at) < self.window {
                break;
            }
            self.evict_oldest();
        }
    }

    fn evict_oldest(&mut self) {
        let Some(oldest) = self.arrivals.pop_front() else {
            return;
        };
        self.bytes -= oldest.bytes;
        let Some(entry) = self.entries.get_mut(&oldest.id) else {
            return;
        };
        entry.records -= 1;
        if entry.records > 0 {
            return;
        }
        let gone = self
            .entries
            .remove(&oldest.id)
            .and_then(|entry| entry.recent.order);
        if let Some(order) = gone
            && let Some(key) = order.idempotency_key
            && let Occupied(keyed) = self.by_key.entry((order.user_id, key))
            && *keyed.get() == oldest.id
        {
            keyed.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::contract::{Status, Timestamp};

    use super::*;
    use crate::tail::tests;

    fn ring(max_bytes: usize) -> Ring {
        Ring::new(&TailSettings {
            window_s: 30,
            max_bytes,
        })
    }

    fn order(key: Option<&str>) -> Order {
        Order {
            user_id: UserId(7),
            idempotency_key: key.map(str::to_owned),
            ..tests::order(OrderId::random())
        }
    }

    #[test]
    fn an_order_and_its_outcomes_are_found_by_id_and_key() {
        let (mut ring, now) = (ring(1_000_000), Instant::now());
        let order = order(Some("k"));
        ring.add_order(now, &order);
        let outcome = Outcome {
            order_id: order.id,
            kind: DeltaKind::Reserve,
            status: Status::Confirmed,
            reason: None,
            decided_at: Timestamp::now(),
        };
        ring.add_outcome(now, outcome);
        let recent = ring.recent(order.id);
        assert_eq!(recent.order.as_ref(), Some(&order));
        assert_eq!(recent.reserve, Some(outcome));
        assert_eq!(ring.placed_with(UserId(7), "k"), Some(order.id));
        assert_eq!(ring.placed_with(UserId(8), "k"), None);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let (mut ring, now) = (ring(1_000_000), Instant::now());
        let (old, new) = (order(Some("old")), order(None));
        ring.add_order(now, &old);
        ring.add_order(now + Duration::from_secs(31), &new);
        assert!(ring.recent(old.id).order.is_none());
        assert_eq!(ring.placed_with(UserId(7), "old"), None);
        assert!(ring.recent(new.id).order.is_some());
    }

    #[test]
    fn a_copy_of_an_order_takes_no_room() {
        let (mut ring, now) = (ring(1_000_000), Instant::now());
        let order = order(Some("k"));
        for _ in 0..2 {
            ring.add_order(now, &order);
        }
        assert_eq!(ring.arrivals.len(), 1);
    }

    #[test]
    fn bytes_are_bounded() {
        let (mut ring, now) = (ring(10_000), Instant::now());
        for _ in 0..1_000 {
            let order = order(None);
            ring.add_order(now, &order);
        }
        assert!(ring.bytes <= 10_000);
        assert_eq!(ring.entries.len(), ring.arrivals.len());
    }
}
