use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Display;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shared::contract::{Delta, DeltaKind, Order, OrderId, Outcome, Status, Timestamp};
use tokio::sync::Notify;

use super::Invariant;
use super::judge::{Records, Verdict, judge};
use super::promise::{Answer, Kept, Promises};
use super::rows::{Key, Rows, Stock};
use super::sight::{Sight, TOGETHER};
use crate::snapshot::{Journey, Line, Proof};

/// More than that would be a backlog, not orders on their way.
const MAX_OPEN: usize = 100_000;
/// Orders whose journeys are kept.
const RECENT: usize = 12;
/// As many offenders as a person looks at.
const SHOWN: usize = 5;

/// What is known of all orders on their way, and what became of those that got there.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    book: Mutex<Book>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Book {
    open: HashMap<Key, Open>,
    /// Those whose rows are worth a look, in turn.
    due: VecDeque<Key>,
    /// The others by age, among them some that are due or closed meanwhile.
    young: VecDeque<Key>,
    promises: Promises,
    sight: Sight,
    tally: [Tally; 6],
    /// Products whose stock is not the sum of its ledger, as of the last look.
    bad_stock: Vec<String>,
    recent: VecDeque<Journey>,
    unfollowed: u64,
    /// What cannot be read for now, and why.
    unread: BTreeMap<&'static str, String>,
    /// When a record came last for which there was no place.
    full_at: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    records: Records,
    /// Whether it is in the queue of those that are.
    due: bool,
}

#[derive(Debug, Clone, Default)]
struct Tally {
    checked: u64,
    violated: u64,
    first: Vec<String>,
}

/// One of the open orders, as its records were when it was picked.
pub(super) struct Case {
    pub(super) key: Key,
    since: Instant,
    records: Records,
    followed: Duration,
}

impl Audit {
    pub(super) fn on_order(&self, order: Order) {
        let mut book = self.book.lock();
        if let Some(key) = &order.idempotency_key {
            let kept = book.promises.seen(key);
            book.keep(kept, order.id);
        }
        book.begin_journey(&order);
        if let Some(open) = book.open((order.id, DeltaKind::Reserve)) {
            let decided = open.records.outcome;
            open.records.order = Some(order);
            // The topics are not read in step: the decision may have been seen first.
            if let Some(outcome) = decided {
                book.decide_journey(&outcome);
            }
        } else {
            book.unfollowed += 1;
        }
        self.changed.notify_one();
    }

    pub(super) fn on_delta(&self, delta: Delta) {
        if let Some(open) = self.book.lock().open((delta.order_id, delta.kind)) {
            open.records.delta = Some(delta);
        }
        self.changed.notify_one();
    }

    pub(super) fn on_outcome(&self, outcome: Outcome) {
        let mut book = self.book.lock();
        book.decide_journey(&outcome);
        let key = (outcome.order_id, outcome.kind);
        if let Some(open) = book.open(key) {
            open.records.outcome = Some(outcome);
            book.look_at(key);
        }
        self.changed.notify_one();
    }

    /// Whether something that the proof rests on can be read.
    pub(super) fn on_read<T, E: Display>(&self, what: &'static str, read: &Result<T, E>) {
        let mut book = self.book.lock();
        match read {
            Ok(_) => book.unread.remove(what),
            Err(error) => book.unread.insert(what, error.to_string()),
        };
    }

    /// The topics can be read as of now.
    pub(super) fn on_sight(&self, now: Instant) {
        self.book.lock().sight.extend(now);
    }

    /// A request with this key is about to be sent.
    pub(crate) fn expect(&self, key: &str) {
        let mut book = self.book.lock();
        let followed = book.sight.has_begun();
        book.promises.expect(key, followed);
    }

    /// All that came of a request that was expected.
    pub(crate) fn answered(&self, key: &str, answer: Answer) {
        let mut book = self.book.lock();
        let kept = book.promises.answered(key, answer);
        book.keep(kept, key);
    }

    /// Waits until there is something new.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.book.lock().open.is_empty()
    }

    /// The next of the open orders whose rows are worth a look, in turn.
    pub(super) fn due(&self, limit: usize) -> Vec<Case> {
        let mut book = self.book.lock();
        book.grow_old();
        let mut cases = Vec::new();
        for _ in 0..book.due.len() {
            let Some(key) = book.due.pop_front() else {
                break;
            };
            let Some(open) = book.open.get(&key) else {
                continue;
            };
            cases.push(Case {
                key,
                since: open.since,
                records: open.records.clone(),
                followed: book.sight.of(open.since),
            });
            book.due.push_back(key);
            if cases.len() >= limit {
                break;
            }
        }
        cases
    }

    /// How many of the cases are closed now.
    pub(super) fn judge(&self, cases: &[Case], rows: &HashMap<Key, Rows>) -> usize {
        let mut book = self.book.lock();
        let nothing = Rows::default();
        let mut closed = 0;
        for case in cases {
            // It may be among them twice: closed, and opened anew since.
            if !book.open.contains_key(&case.key) {
                continue;
            }
            let rows = rows.get(&case.key).unwrap_or(&nothing);
            match judge(case.key.1, &case.records, rows, case.followed) {
                Verdict::Open => continue,
                Verdict::Settled => book.settle(case),
                Verdict::Missing(_) if book.may_have_been_full(case) => {
                    book.unfollowed += u64::from(case.records.order.is_some());
                }
                Verdict::Missing(what) => book.violate(Invariant::Atomic, case.key.0, what),
                Verdict::Violated(invariant, fault) => book.violate(invariant, case.key.0, &fault),
            }
            book.open.remove(&case.key);
            closed += 1;
        }
        closed
    }

    pub(super) fn on_stock(&self, products: &[Stock]) {
        let fault = |product: &Stock| {
            (product.qty != product.ledger || product.qty < 0).then(|| {
                format!(
                    "product {}: stock is {}, its ledger adds up to {}",
                    product.product_id, product.qty, product.ledger
                )
            })
        };
        let mut book = self.book.lock();
        book.tally_of(Invariant::Stock).checked += products.len() as u64;
        book.bad_stock = products.iter().filter_map(fault).collect();
    }

    /// Holds the answers to what should have been seen by now.
    pub(super) fn look_for_overdue(&self) {
        let mut book = self.book.lock();
        let Book {
            promises, sight, ..
        } = &mut *book;
        for (key, kept) in promises.overdue(sight) {
            match kept {
                Some(kept) => book.keep(Some(kept), key),
                None => book.unfollowed += 1,
            }
        }
    }

    pub(crate) fn journeys(&self) -> Vec<Journey> {
        self.book.lock().recent.iter().rev().cloned().collect()
    }

    pub(crate) fn proof(&self) -> Proof {
        let book = self.book.lock();
        let (mut undecided, mut unwritten, mut oldest) = (0, 0, Duration::ZERO);
        let now = Instant::now();
        for Open { since, records, .. } in book.open.values() {
            // A fact alone is a repeated one: nobody waits for it.
            if records.order.is_none() && records.delta.is_none() {
                continue;
            }
            match records.outcome {
                Some(_) => unwritten += 1,
                None => undecided += 1,
            }
            oldest = oldest.max(now.duration_since(*since));
        }
        Proof {
            lines: Invariant::ALL.map(|of| book.line(of)).into(),
            undecided,
            unwritten,
            oldest: millis(oldest),
            unfollowed: book.unfollowed,
            unread: (book.unread.iter())
                .map(|(what, why)| format!("{what}: {why}"))
                .collect(),
        }
    }
}

impl Book {
    fn open(&mut self, key: Key) -> Option<&mut Open> {
        if !self.open.contains_key(&key) {
            if self.open.len() >= MAX_OPEN {
                self.full_at = Some(Instant::now());
                return None;
            }
            // A release may be decided without a fact.
            let due = key.1 == DeltaKind::Release;
            let queue = if due { &mut self.due } else { &mut self.young };
            queue.push_back(key);
            let open = Open {
                since: Instant::now(),
                records: Records::default(),
                due,
            };
            self.open.insert(key, open);
        }
        self.open.get_mut(&key)
    }

    /// Whether what is missing of it may have come while there was no place.
    fn may_have_been_full(&self, case: &Case) -> bool {
        self.full_at.is_some_and(|at| case.since < at + TOGETHER)
    }

    fn look_at(&mut self, key: Key) {
        if let Some(open) = self.open.get_mut(&key)
            && !open.due
        {
            open.due = true;
            self.due.push_back(key);
        }
    }

    /// What is not decided by now is worth a look, too.
    fn grow_old(&mut self) {
        while let Some(&key) = self.young.front() {
            let is_young = |open: &Open| !open.due && self.sight.of(open.since) < TOGETHER;
            if self.open.get(&key).is_some_and(is_young) {
                break;
            }
            self.young.pop_front();
            self.look_at(key);
        }
    }

    fn settle(&mut self, case: &Case) {
        if case.key.1 == DeltaKind::Reserve {
            self.tally_of(Invariant::Atomic).checked += 1;
        }
        for invariant in [Invariant::Stock, Invariant::Decided, Invariant::InStep] {
            self.tally_of(invariant).checked += 1;
        }
        if let Some(journey) = self.journey(case.key.0)
            && journey.visible.is_none()
        {
            journey.visible = Some(since(journey.accepted_at));
        }
    }

    fn keep(&mut self, kept: Option<Kept>, subject: impl Display) {
        match kept {
            None => {}
            Some((invariant, None)) => self.tally_of(invariant).checked += 1,
            Some((invariant, Some(fault))) => self.violate(invariant, subject, fault),
        }
    }

    fn violate(&mut self, invariant: Invariant, subject: impl Display, fault: &str) {
        let tally = self.tally_of(invariant);
        tally.checked += 1;
        tally.violated += 1;
        if tally.first.len() < SHOWN {
            tally.first.push(format!("{subject}: {fault}"));
        }
    }

    fn tally_of(&mut self, invariant: Invariant) -> &mut Tally {
        &mut self.tally[invariant as usize - 1]
    }

    fn line(&self, invariant: Invariant) -> Line {
        let tally = &self.tally[invariant as usize - 1];
        let mut line = Line {
            number: invariant as usize,
            text: invariant.text(),
            checked: tally.checked,
            violated: tally.violated,
            first: tally.first.clone(),
        };
        if invariant == Invariant::Stock {
            line.violated += self.bad_stock.len() as u64;
            line.first
                .extend(self.bad_stock.iter().take(SHOWN).cloned());
        }
        line
    }

    fn journey(&mut self, id: OrderId) -> Option<&mut Journey> {
        self.recent
            .iter_mut()
            .rev()
            .find(|journey| journey.id == id)
    }

    fn begin_journey(&mut self, order: &Order) {
        if self.journey(order.id).is_some() {
            return;
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        let accepted_at = order.created_at.millis();
        self.recent.push_back(Journey {
            id: order.id,
            product_id: order.product_id,
            qty: order.qty,
            status: Status::Pending,
            reason: None,
            accepted_at,
            committed: Some(since(accepted_at)),
            applied: None,
            visible: None,
        });
    }

    fn decide_journey(&mut self, outcome: &Outcome) {
        let Some(journey) = self.journey(outcome.order_id) else {
            return;
        };
        // The fact of a release is the last word, whichever comes first.
        if journey.status != Status::Cancelled {
            journey.status = outcome.status;
            journey.reason = outcome.reason;
        }
        journey.applied.get_or_insert(since(journey.accepted_at));
    }
}

fn since(accepted_at: i64) -> i64 {
    (Timestamp::now().millis() - accepted_at).max(0)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use shared::contract::{ProductId, UserId};

    use super::*;

    fn order(id: OrderId) -> Order {
        Order {
            id,
            user_id: UserId(1),
            product_id: ProductId(1),
            qty: 1,
            unit_price: 1,
            total_price: 1,
            created_at: Timestamp::now(),
            idempotency_key: Some(id.to_string()),
        }
    }

    /// The topics can be read from then on, long enough to see what there is.
    fn watch(audit: &Audit, begun: Instant) {
        for seconds in 0..=TOGETHER.as_secs() {
            audit.on_sight(begun + Duration::from_secs(seconds));
        }
    }

    fn violations(audit: &Audit) -> u64 {
        audit.look_for_overdue();
        audit.judge(&audit.due(usize::MAX), &HashMap::new());
        audit.proof().lines.iter().map(|line| line.violated).sum()
    }

    #[test]
    fn what_is_missing_is_missed_only_once_the_topics_could_be_read_for_long_enough() {
        let (audit, begun) = (Audit::default(), Instant::now());
        audit.on_sight(begun);
        audit.on_order(order(OrderId::random()));
        audit.expect("acknowledged");
        audit.answered("acknowledged", Answer::Acknowledged);
        // The broker was away for an hour.
        let back = begun + Duration::from_secs(3_600);
        audit.on_sight(back);
        assert_eq!(violations(&audit), 0);
        watch(&audit, back);
        assert_eq!(violations(&audit), 2);
    }

    #[test]
    fn what_came_in_part_while_there_was_no_place_is_not_followed() {
        let (audit, begun) = (Audit::default(), Instant::now());
        let reserve = |order_id| Delta {
            order_id,
            product_id: ProductId(1),
            kind: DeltaKind::Reserve,
            delta: -1,
        };
        for _ in 0..MAX_OPEN {
            audit.on_delta(reserve(OrderId::random()));
        }
        let (whole, half) = (OrderId::random(), OrderId::random());
        audit.on_order(order(whole));
        audit.on_delta(reserve(whole));
        audit.on_delta(reserve(half));
        assert_eq!(audit.proof().unfollowed, 1);
        audit.book.lock().open.clear();
        audit.on_order(order(half));
        watch(&audit, begun + Duration::from_secs(1));
        assert_eq!(violations(&audit), 0);
        assert_eq!(audit.proof().unfollowed, 2);
        assert!(audit.is_settled());
    }

    #[test]
    fn what_was_asked_for_before_the_topics_were_read_is_not_followed() {
        let (audit, begun) = (Audit::default(), Instant::now());
        audit.expect("early");
        audit.answered("early", Answer::Acknowledged);
        watch(&audit, begun + Duration::from_secs(1));
        assert_eq!(violations(&audit), 0);
        assert_eq!(audit.proof().unfollowed, 1);
    }

    #[test]
    fn a_decision_seen_before_its_order_is_part_of_the_journey() {
        let (audit, id, now) = (Audit::default(), OrderId::random(), Timestamp::now());
        audit.on_outcome(Outcome {
            order_id: id,
            kind: DeltaKind::Reserve,
            status: Status::Confirmed,
            reason: None,
            decided_at: now,
        });
        assert_eq!(audit.proof().undecided + audit.proof().unwritten, 0);
        audit.on_order(Order {
            created_at: now,
            ..order(id)
        });
        let journey = &audit.journeys()[0];
        assert_eq!(journey.status, Status::Confirmed);
        assert!(journey.applied.is_some());
        assert_eq!(audit.proof().unwritten, 1);
    }
}
