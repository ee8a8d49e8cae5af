//! The rules: what a batch of deltas does to stock and ledger. No I/O, so that every
//! rule can be tested by itself.

use std::collections::{BTreeMap, HashMap};

use shared::contract::{Delta, DeltaKind, OrderId, Outcome, ProductId, Reason, Status, Timestamp};

/// What the ledger says about one delta of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    pub order_id: OrderId,
    pub kind: DeltaKind,
    pub product_id: ProductId,
    /// What it changed: not always what was asked for.
    pub delta: i64,
    /// `None` for a release that had nothing to give back.
    pub status: Option<Status>,
    pub reason: Option<Reason>,
    pub decided_at: Timestamp,
}

impl Movement {
    /// The fact that this row stands for; every copy of it is the same.
    pub fn fact(&self) -> Option<Outcome> {
        Some(Outcome {
            order_id: self.order_id,
            kind: self.kind,
            status: self.status?,
            reason: self.reason,
            decided_at: self.decided_at,
        })
    }
}

/// What the database says about the products and orders of a batch.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub stock: BTreeMap<ProductId, i64>,
    pub ledger: HashMap<(OrderId, DeltaKind), Movement>,
}

/// A record that can never be applied: it goes to the dead letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDelta {
    #[error("not a delta: {0}")]
    Unreadable(String),
    #[error("releases product {released}, but the order's reservation is of product {reserved}")]
    OtherProduct {
        released: ProductId,
        reserved: ProductId,
    },
    #[error("gives back to product {0}, which is gone from stock")]
    NoSuchProduct(ProductId),
    #[error("would take the stock of product {0} beyond what a 64-bit number holds")]
    Overflow(ProductId),
    #[error("refused by the database: {0}")]
    Refused(String),
}

/// What became of one delta, with the fact to publish if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Applied(Option<Outcome>),
    /// The ledger had it already.
    Repeated(Option<Outcome>),
    Bad(BadDelta),
}

/// What to write, and one decision per delta, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub new_movements: Vec<Movement>,
    /// The new quantity of every product that changed.
    pub changed_stock: BTreeMap<ProductId, i64>,
    pub decisions: Vec<Decision>,
}

/// Walks the deltas in their order: first come, first served.
pub fn decide(mut view: View, deltas: &[Delta], now: Timestamp) -> Plan {
    view.ledger.reserve(deltas.len());
    let mut walk = Walk {
        view,
        now,
        new_movements: Vec::with_capacity(deltas.len()),
        changed_stock: BTreeMap::new(),
    };
    let decisions = deltas.iter().map(|delta| walk.step(delta)).collect();
    Plan {
        new_movements: walk.new_movements,
        changed_stock: walk.changed_stock,
        decisions,
    }
}

struct Walk {
    view: View,
    now: Timestamp,
    new_movements: Vec<Movement>,
    changed_stock: BTreeMap<ProductId, i64>,
}

impl Walk {
    fn step(&mut self, delta: &Delta) -> Decision {
        let decision = match delta.kind {
            DeltaKind::Reserve => Ok(self.reserve(delta)),
            DeltaKind::Release => self.release(delta),
        };
        decision.unwrap_or_else(Decision::Bad)
    }

    fn reserve(&mut self, delta: &Delta) -> Decision {
        if let Some(known) = self.view.ledger.get(&(delta.order_id, DeltaKind::Reserve)) {
            return Decision::Repeated(known.fact());
        }
        let wanted = i64::from(delta.delta);
        let (status, change, reason) = match self.view.stock.get(&delta.product_id) {
            None => (Status::Rejected, 0, Some(Reason::UnknownProduct)),
            Some(qty) if qty + wanted < 0 => (Status::Rejected, 0, Some(Reason::OutOfStock)),
            Some(qty) => {
                self.set_stock(delta.product_id, qty + wanted);
                (Status::Confirmed, wanted, None)
            }
        };
        let status = Some(status);
        self.record(Movement {
            delta: change,
            status,
            reason,
            ..self.nothing(delta)
        })
    }

    /// Gives back exactly what the ledger reserved, whatever the delta says.
    fn release(&mut self, delta: &Delta) -> Result<Decision, BadDelta> {
        let Some(reserve) = self
            .view
            .ledger
            .get(&(delta.order_id, DeltaKind::Reserve))
            .copied()
        else {
            return Ok(self.cancel_first(delta));
        };
        if reserve.product_id != delta.product_id {
            return Err(BadDelta::OtherProduct {
                released: delta.product_id,
                reserved: reserve.product_id,
            });
        }
        if let Some(known) = self.view.ledger.get(&(delta.order_id, DeltaKind::Release)) {
            // The release that came first published its reservation's fact.
            let overtook = reserve.reason == Some(Reason::CancelledFirst);
            return Ok(Decision::Repeated(if overtook {
                reserve.fact()
            } else {
                known.fact()
            }));
        }
        if reserve.delta == 0 {
            return Ok(self.record(self.nothing(delta)));
        }
        let product = delta.product_id;
        let qty = *self
            .view
            .stock
            .get(&product)
            .ok_or(BadDelta::NoSuchProduct(product))?;
        let back = qty
            .checked_sub(reserve.delta)
            .ok_or(BadDelta::Overflow(product))?;
        self.set_stock(product, back);
        let status = Some(Status::Cancelled);
        Ok(self.record(Movement {
            delta: -reserve.delta,
            status,
            ..self.nothing(delta)
        }))
    }

    /// A release that overtook its reservation: it takes the reservation's place in the
    /// ledger, so that the one still to come is a repetition.
    fn cancel_first(&mut self, delta: &Delta) -> Decision {
        let decision = self.record(Movement {
            kind: DeltaKind::Reserve,
            status: Some(Status::Rejected),
            reason: Some(Reason::CancelledFirst),
            ..self.nothing(delta)
        });
        self.record(self.nothing(delta));
        decision
    }

    /// The row of a delta that moves nothing.
    fn nothing(&self, delta: &Delta) -> Movement {
        Movement {
            order_id: delta.order_id,
            kind: delta.kind,
            product_id: delta.product_id,
            delta: 0,
            status: None,
            reason: None,
            decided_at: self.now,
        }
    }

    fn record(&mut self, movement: Movement) -> Decision {
        self.view
            .ledger
            .insert((movement.order_id, movement.kind), movement);
        self.new_movements.push(movement);
        Decision::Applied(movement.fact())
    }

    fn set_stock(&mut self, product: ProductId, qty: i64) {
        self.view.stock.insert(product, qty);
        self.changed_stock.insert(product, qty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUP: ProductId = ProductId(1);
    const POT: ProductId = ProductId(2);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn stock(rows: &[(ProductId, i64)]) -> View {
        View {
            stock: rows.iter().copied().collect(),
            ledger: HashMap::new(),
        }
    }

    fn reserve(order_id: OrderId, product_id: ProductId, qty: i32) -> Delta {
        Delta {
            order_id,
            product_id,
            kind: DeltaKind::Reserve,
            delta: -qty,
        }
    }

    fn release(order_id: OrderId, product_id: ProductId, qty: i32) -> Delta {
        Delta {
            order_id,
            product_id,
            kind: DeltaKind::Release,
            delta: qty,
        }
    }

    /// The view that the next batch reads, after this plan was written.
    fn after(mut view: View, plan: &Plan) -> View {
        view.stock.extend(&plan.changed_stock);
        let rows = plan.new_movements.iter();
        view.ledger
            .extend(rows.map(|row| ((row.order_id, row.kind), *row)));
        view
    }

    fn status(decision: &Decision) -> Option<(Status, Option<Reason>)> {
        match decision {
            Decision::Applied(fact) | Decision::Repeated(fact) => {
                fact.map(|fact| (fact.status, fact.reason))
            }
            Decision::Bad(bad) => panic!("bad data: {bad}"),
        }
    }

    #[test]
    fn a_reserve_that_fits_is_confirmed_and_taken_from_stock() {
        let order = OrderId::random();
        let plan = decide(stock(&[(CUP, 5)]), &[reserve(order, CUP, 5)], at(7));
        assert_eq!(status(&plan.decisions[0]), Some((Status::Confirmed, None)));
        assert_eq!(plan.changed_stock, [(CUP, 0)].into());
        assert_eq!(plan.new_movements[0].delta, -5);
        assert_eq!(plan.new_movements[0].decided_at, at(7));
    }

    #[test]
    fn orders_are_served_first_come_first_served_and_never_oversold() {
        let orders: Vec<_> = [4, 4, 2, 1]
            .map(|qty| reserve(OrderId::random(), CUP, qty))
            .into();
        let plan = decide(stock(&[(CUP, 6)]), &orders, at(0));
        let found: Vec<_> = plan.decisions.iter().map(status).collect();
        let rejected = Some((Status::Rejected, Some(Reason::OutOfStock)));
        let confirmed = Some((Status::Confirmed, None));
        assert_eq!(found, [confirmed, rejected, confirmed, rejected]);
        assert_eq!(plan.changed_stock, [(CUP, 0)].into());
        let deltas: Vec<_> = plan.new_movements.iter().map(|row| row.delta).collect();
        assert_eq!(deltas, [-4, 0, -2, 0]);
    }

    #[test]
    fn an_unknown_product_rejects_and_changes_no_stock() {
        let plan = decide(stock(&[]), &[reserve(OrderId::random(), CUP, 1)], at(0));
        let reason = Some(Reason::UnknownProduct);
        assert_eq!(status(&plan.decisions[0]), Some((Status::Rejected, reason)));
        assert!(plan.changed_stock.is_empty());
        assert_eq!(plan.new_movements[0].delta, 0);
    }

    #[test]
    fn a_redelivered_delta_changes_nothing_and_repeats_its_fact() {
        let order = OrderId::random();
        let batch = [reserve(order, CUP, 5), release(order, CUP, 5)];
        let first = decide(stock(&[(CUP, 5)]), &batch, at(0));
        let again = decide(after(stock(&[(CUP, 5)]), &first), &batch, at(1));
        assert!(again.new_movements.is_empty() && again.changed_stock.is_empty());
        for (first, again) in first.decisions.iter().zip(&again.decisions) {
            let (Decision::Applied(first), Decision::Repeated(again)) = (first, again) else {
                panic!("{first:?} {again:?}");
            };
            assert_eq!(first, again);
        }
    }

    #[test]
    fn a_delta_twice_in_one_batch_counts_once() {
        let delta = reserve(OrderId::random(), CUP, 2);
        let plan = decide(stock(&[(CUP, 9)]), &[delta, delta], at(0));
        assert_eq!(plan.changed_stock, [(CUP, 7)].into());
        assert_eq!(plan.new_movements.len(), 1);
        assert_eq!(status(&plan.decisions[0]), status(&plan.decisions[1]));
        assert!(matches!(plan.decisions[1], Decision::Repeated(Some(_))));
    }

    #[test]
    fn a_reserve_that_the_ledger_has_repeats_that_decision_whatever_it_asks_now() {
        let order = OrderId::random();
        let view = stock(&[(CUP, 9), (POT, 9)]);
        let batch = [reserve(order, CUP, 2), reserve(order, POT, 3)];
        let plan = decide(view, &batch, at(0));
        assert_eq!(plan.changed_stock, [(CUP, 7)].into());
        assert_eq!(status(&plan.decisions[1]), Some((Status::Confirmed, None)));
    }

    #[test]
    fn a_release_gives_back_what_was_reserved_not_what_it_says() {
        let order = OrderId::random();
        let batch = [reserve(order, CUP, 3), release(order, CUP, 10_000)];
        let plan = decide(stock(&[(CUP, 5)]), &batch, at(0));
        assert_eq!(plan.changed_stock, [(CUP, 5)].into());
        assert_eq!(plan.new_movements[1].delta, 3);
        assert_eq!(status(&plan.decisions[1]), Some((Status::Cancelled, None)));
    }

    #[test]
    fn what_a_release_gives_back_serves_the_next_order_of_the_batch() {
        let (first, second) = (OrderId::random(), OrderId::random());
        let batch = [
            reserve(first, CUP, 5),
            release(first, CUP, 5),
            reserve(second, CUP, 5),
        ];
        let plan = decide(stock(&[(CUP, 5)]), &batch, at(0));
        assert_eq!(status(&plan.decisions[2]), Some((Status::Confirmed, None)));
        assert_eq!(plan.changed_stock, [(CUP, 0)].into());
    }

    #[test]
    fn a_release_of_a_rejected_order_is_recorded_without_a_fact() {
        let order = OrderId::random();
        let batch = [
            reserve(order, CUP, 6),
            release(order, CUP, 6),
            release(order, CUP, 6),
        ];
        let plan = decide(stock(&[(CUP, 5)]), &batch, at(0));
        assert_eq!(plan.decisions[1], Decision::Applied(None));
        assert_eq!(plan.decisions[2], Decision::Repeated(None));
        assert_eq!(plan.new_movements.len(), 2);
        assert_eq!(
            (plan.new_movements[1].delta, plan.new_movements[1].status),
            (0, None)
        );
        assert!(plan.changed_stock.is_empty());
    }

    #[test]
    fn a_release_that_overtakes_its_reserve_cancels_it() {
        let order = OrderId::random();
        let batch = [
            release(order, CUP, 2),
            reserve(order, CUP, 2),
            release(order, CUP, 2),
        ];
        let plan = decide(stock(&[(CUP, 5)]), &batch, at(0));
        let reason = Some(Reason::CancelledFirst);
        for decision in &plan.decisions {
            assert_eq!(status(decision), Some((Status::Rejected, reason)));
        }
        assert!(matches!(plan.decisions[1], Decision::Repeated(_)));
        assert!(plan.changed_stock.is_empty());
        let kinds: Vec<_> = plan
            .new_movements
            .iter()
            .map(|row| (row.kind, row.delta))
            .collect();
        assert_eq!(kinds, [(DeltaKind::Reserve, 0), (DeltaKind::Release, 0)]);
        let Decision::Applied(Some(fact)) = plan.decisions[0] else {
            panic!()
        };
        assert_eq!(fact.kind, DeltaKind::Reserve);
    }

    #[test]
    fn a_release_of_another_product_is_bad_data_even_when_repeated() {
        let order = OrderId::random();
        let bad = BadDelta::OtherProduct {
            released: POT,
            reserved: CUP,
        };
        let batch = [
            reserve(order, CUP, 2),
            release(order, POT, 2),
            release(order, CUP, 2),
            release(order, POT, 2),
        ];
        let plan = decide(stock(&[(CUP, 5), (POT, 5)]), &batch, at(0));
        assert_eq!(plan.decisions[1], Decision::Bad(bad.clone()));
        assert_eq!(status(&plan.decisions[2]), Some((Status::Cancelled, None)));
        assert_eq!(plan.decisions[3], Decision::Bad(bad));
        assert_eq!(plan.new_movements.len(), 2);
        assert_eq!(plan.changed_stock, [(CUP, 5)].into());
    }

    #[test]
    fn a_release_that_stock_cannot_take_is_bad_data_and_leaves_no_trace() {
        let order = OrderId::random();
        let taken = decide(stock(&[(CUP, 5)]), &[reserve(order, CUP, 5)], at(0));
        let mut view = after(stock(&[]), &taken);
        view.stock.clear();
        let gone = decide(view.clone(), &[release(order, CUP, 5)], at(0));
        assert_eq!(
            gone.decisions,
            [Decision::Bad(BadDelta::NoSuchProduct(CUP))]
        );
        view.stock.insert(CUP, i64::MAX);
        let full = decide(view, &[release(order, CUP, 5)], at(0));
        assert_eq!(full.decisions, [Decision::Bad(BadDelta::Overflow(CUP))]);
        assert!(full.new_movements.is_empty() && full.changed_stock.is_empty());
    }
}
