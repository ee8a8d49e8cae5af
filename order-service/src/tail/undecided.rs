use std::collections::{BTreeSet, HashMap};

use shared::contract::{OrderId, Timestamp, UserId};

/// Orders that are kept, about 100 bytes each.
const MOST: usize = 16_384;

/// The orders that the catalog has not decided yet, by their age.
///
/// Where it would be too many, every second one is left out: the oldest is always there, and
/// once it is decided, one that is hardly younger.
#[derive(Default)]
pub(super) struct Undecided {
    placed: HashMap<OrderId, Placed>,
    by_age: BTreeSet<(Timestamp, OrderId)>,
}

#[derive(Clone, Copy)]
struct Placed {
    at: Timestamp,
    by: UserId,
}

impl Undecided {
    pub(super) fn add(&mut self, id: OrderId, at: Timestamp, by: UserId) {
        if self.placed.contains_key(&id) {
            return;
        }
        if self.placed.len() >= MOST {
            self.thin_out();
        }
        self.placed.insert(id, Placed { at, by });
        self.by_age.insert((at, id));
    }

    /// When the order was placed, if it was undecided until now.
    pub(super) fn decide(&mut self, id: OrderId) -> Option<Timestamp> {
        let placed = self.placed.remove(&id)?;
        self.by_age.remove(&(placed.at, id));
        Some(placed.at)
    }

    pub(super) fn owner(&self, id: OrderId) -> Option<UserId> {
        self.placed.get(&id).map(|placed| placed.by)
    }

    pub(super) fn oldest(&self) -> Option<(Timestamp, OrderId)> {
        self.by_age.first().copied()
    }

    fn thin_out(&mut self) {
        let mut keep = false;
        self.by_age.retain(|(_, id)| {
            keep = !keep;
            if !keep {
                self.placed.remove(id);
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserId = UserId(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn the_oldest_is_the_one_that_was_placed_first_and_is_decided_once() {
        let mut undecided = Undecided::default();
        let [first, second] = [OrderId::random(), OrderId::random()];
        undecided.add(second, at(2), USER);
        undecided.add(first, at(1), USER);
        undecided.add(first, at(3), USER);
        assert_eq!(undecided.oldest(), Some((at(1), first)));
        assert_eq!(undecided.decide(first), Some(at(1)));
        assert_eq!(undecided.decide(first), None);
        assert_eq!(undecided.oldest(), Some((at(2), second)));
        assert_eq!(undecided.decide(second), Some(at(2)));
        assert_eq!(undecided.oldest(), None);
    }

    #[test]
    fn of_too_many_the_oldest_is_kept_and_of_all_ages_some() {
        let mut undecided = Undecided::default();
        let ids: Vec<_> = (0..5 * MOST).map(|_| OrderId::random()).collect();
        for (millis, id) in (0..).zip(&ids) {
            undecided.add(*id, at(millis), USER);
        }
        assert!(undecided.placed.len() <= MOST);
        assert_eq!(undecided.placed.len(), undecided.by_age.len());
        assert_eq!(undecided.oldest(), Some((at(0), ids[0])));
        for id in &ids[..2 * MOST] {
            undecided.decide(*id);
        }
        let (oldest, _) = undecided.oldest().unwrap();
        assert!(oldest.millis() - 2 * i64::try_from(MOST).unwrap() < 16);
    }
}
