use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use shared::contract::{ContractError, DeltaKind, Order, OrderId, Outcome, UserId};
use tokio::time::Instant;

use super::Recent;
use crate::settings::TailSettings;

/// What an entry takes in the maps and the allocator beside the bytes it keeps, about.
const OVERHEAD: usize = 400;

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

/// One order's records. The order stays raw: most are never asked for.
#[derive(Default)]
struct Entry {
    records: usize,
    order: Option<Box<[u8]>>,
    keyed: Option<(UserId, String)>,
    reserve: Option<Outcome>,
    release: Option<Outcome>,
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

    pub(super) fn add_order(
        &mut self,
        now: Instant,
        id: OrderId,
        record: &[u8],
    ) -> Result<(), ContractError> {
        let payload = Order::payload(record)?;
        let keyed = if payload.ends_with(br#""idempotency_key":null}"#) {
            None
        } else {
            let order = Order::from_payload(payload)?;
            order.idempotency_key.map(|key| (order.user_id, key))
        };
        self.arrive(now, id, payload.len());
        let entry = self.entries.entry(id).or_default();
        entry.order = Some(payload.into());
        if let Some(keyed) = keyed {
            entry.keyed = Some(keyed.clone());
            self.by_key.insert(keyed, id);
        }
        Ok(())
    }

    pub(super) fn add_outcome(&mut self, now: Instant, outcome: Outcome) {
        self.arrive(now, outcome.order_id, 0);
        let entry = self.entries.entry(outcome.order_id).or_default();
        match outcome.kind {
            DeltaKind::Reserve => entry.reserve = Some(outcome),
            DeltaKind::Release => entry.release = Some(outcome),
        }
    }

    pub(super) fn recent(&self, id: OrderId) -> Recent {
        let Some(entry) = self.entries.get(&id) else {
            return Recent::default();
        };
        Recent {
            order: entry
                .order
                .as_deref()
                .and_then(|payload| Order::from_payload(payload).ok()),
            reserve: entry.reserve,
            release: entry.release,
        }
    }

    pub(super) fn placed_with(&self, user: UserId, key: &str) -> Option<OrderId> {
        self.by_key.get(&(user, key.to_owned())).copied()
    }

    fn arrive(&mut self, at: Instant, id: OrderId, payload: usize) {
        let bytes = payload + OVERHEAD;
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
        if entry.records == 0
            && let Some(entry) = self.entries.remove(&oldest.id)
            && let Some(keyed) = entry.keyed
            && self.by_key.get(&keyed) == Some(&oldest.id)
        {
            self.by_key.remove(&keyed);
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::contract::{ProductId, Status, Timestamp};

    use super::*;

    fn ring(max_bytes: usize) -> Ring {
        Ring::new(&TailSettings {
            window_s: 30,
            max_bytes,
        })
    }

    fn order(key: Option<&str>) -> Order {
        Order {
            id: OrderId::random(),
            user_id: UserId(7),
            product_id: ProductId(1),
            qty: 1,
            unit_price: 1,
            total_price: 1,
            created_at: Timestamp::now(),
            idempotency_key: key.map(str::to_owned),
        }
    }

    #[test]
    fn an_order_and_its_outcomes_are_found_by_id_and_key() {
        let (mut ring, now) = (ring(1_000_000), Instant::now());
        let order = order(Some("k"));
        ring.add_order(now, order.id, &order.encode()).unwrap();
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
        ring.add_order(now, old.id, &old.encode()).unwrap();
        ring.add_order(now + Duration::from_secs(31), new.id, &new.encode())
            .unwrap();
        assert!(ring.recent(old.id).order.is_none());
        assert_eq!(ring.placed_with(UserId(7), "old"), None);
        assert!(ring.recent(new.id).order.is_some());
    }

    #[test]
    fn bytes_are_bounded() {
        let (mut ring, now) = (ring(10_000), Instant::now());
        for _ in 0..1_000 {
            let order = order(None);
            ring.add_order(now, order.id, &order.encode()).unwrap();
        }
        assert!(ring.bytes <= 10_000);
        assert_eq!(ring.entries.len(), ring.arrivals.len());
    }
}
