use shared::contract::{Delta, DeltaKind, Order};

use super::fact::{Answer, Decision, Fact, Movement, Place, What};

/// All that was seen of one order.
#[derive(Default)]
pub(super) struct Seen<'a> {
    pub(super) orders: Vec<At<'a, Order>>,
    pub(super) order_rows: Vec<At<'a, Order>>,
    pub(super) deltas: Vec<At<'a, Delta>>,
    pub(super) outcomes: Vec<At<'a, Decision>>,
    pub(super) outcome_rows: Vec<At<'a, Decision>>,
    pub(super) movements: Vec<At<'a, Movement>>,
    pub(super) answers: Vec<At<'a, Answer>>,
    /// The statuses that cancellations were answered.
    pub(super) cancels: Vec<Option<u16>>,
    pub(super) dead_deltas: Vec<DeltaKind>,
    pub(super) dead_order: bool,
    pub(super) dead_outcomes: Vec<DeltaKind>,
}

#[derive(Clone, Copy)]
pub(super) struct At<'a, T> {
    pub(super) place: &'a Place,
    pub(super) what: &'a T,
}

impl<'a> From<&'a [Fact]> for Seen<'a> {
    fn from(facts: &'a [Fact]) -> Self {
        let mut seen = Self::default();
        for Fact { place, what, .. } in facts {
            match what {
                What::OrderRecord(what) => seen.orders.push(At { place, what }),
                What::OrderRow(what) => seen.order_rows.push(At { place, what }),
                What::DeltaRecord(what) => seen.deltas.push(At { place, what }),
                What::OutcomeRecord(what) => seen.outcomes.push(At { place, what }),
                What::OutcomeRow(what) => seen.outcome_rows.push(At { place, what }),
                What::Movement(what) => seen.movements.push(At { place, what }),
                What::Answer(what) => seen.answers.push(At { place, what }),
                What::CancelAnswer(status) => seen.cancels.push(*status),
                What::DeadDelta(kind) => seen.dead_deltas.push(*kind),
                What::DeadOrder => seen.dead_order = true,
                What::DeadOutcome(kind) => seen.dead_outcomes.push(*kind),
            }
        }
        seen
    }
}

impl<'a> Seen<'a> {
    pub(super) fn deltas_of(&self, kind: DeltaKind) -> impl Iterator<Item = At<'a, Delta>> {
        let deltas = self.deltas.iter().copied();
        deltas.filter(move |delta| delta.what.kind == kind)
    }

    pub(super) fn movement(&self, kind: DeltaKind) -> Option<&'a Movement> {
        let mut movements = self.movements.iter().map(|movement| movement.what);
        movements.find(|movement| movement.kind == kind)
    }

    /// Where anything was seen that a service or the sink wrote.
    pub(super) fn trace(&self) -> Option<&'a Place> {
        let orders = self
            .orders
            .iter()
            .chain(&self.order_rows)
            .map(|at| at.place);
        let deltas = self.deltas.iter().map(|at| at.place);
        let outcomes = self
            .outcomes
            .iter()
            .chain(&self.outcome_rows)
            .map(|at| at.place);
        let movements = self.movements.iter().map(|at| at.place);
        orders.chain(deltas).chain(outcomes).chain(movements).next()
    }
}
