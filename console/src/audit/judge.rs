use std::time::Duration;

use shared::contract::{Delta, DeltaKind, Order, Outcome, Status};

use super::Invariant;
use super::rows::{Movement, Rows};
use super::sight::TOGETHER;

/// A fact alone is a repeated one, unless its order is about to be seen.
const ALONE: Duration = Duration::from_secs(5);

/// What was seen on the topics of an order's reservation, or of its release.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    pub(super) order: Option<Order>,
    pub(super) delta: Option<Delta>,
    pub(super) outcome: Option<Outcome>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All there is to see agrees.
    Settled,
    /// Something is still to come.
    Open,
    /// What belongs to it by invariant 3 should have been seen by now.
    Missing(&'static str),
    Violated(Invariant, String),
}

use Verdict::{Missing, Open, Settled, Violated};

/// `kind` is whose records and rows these are, `followed` for how long the topics could be read
/// since the first of the records.
pub(super) fn judge(
    kind: DeltaKind,
    records: &Records,
    rows: &Rows,
    followed: Duration,
) -> Verdict {
    let verdicts = match kind {
        DeltaKind::Reserve => [
            atomic(records, rows, followed),
            taken(records, rows),
            decided(records, rows),
            order_in_step(records, rows),
            fact_in_step(records, rows),
        ],
        DeltaKind::Release => [
            Settled,
            given_back(rows),
            released(records, rows),
            Settled,
            fact_in_step(records, rows),
        ],
    };
    let mut open = false;
    for verdict in verdicts {
        match verdict {
            Settled => {}
            Open => open = true,
            Missing(_) | Violated(..) => return verdict,
        }
    }
    if open { Open } else { Settled }
}

/// A transaction's records are seen together. An order of before the console's start is only ever
/// seen in the database; any other may be there before it is seen on its topic.
fn atomic(records: &Records, rows: &Rows, followed: Duration) -> Verdict {
    let order = records.order.as_ref().or(rows.order.as_ref());
    match (order, &records.delta) {
        (Some(order), Some(delta))
            if delta.delta != -order.qty || delta.product_id != order.product_id =>
        {
            Violated(
                Invariant::Atomic,
                format!(
                    "ordered {} of {}, reserved {} of {}",
                    order.qty, order.product_id, -delta.delta, delta.product_id
                ),
            )
        }
        (Some(_), Some(_)) if records.order.is_none() && followed < TOGETHER => Open,
        (Some(_), Some(_)) => Settled,
        (_, None) if records.order.is_none() && followed >= ALONE => Settled,
        _ if followed < TOGETHER => Open,
        (Some(_), None) => Missing("has no reservation"),
        (None, _) => Missing("reserved without an order"),
    }
}

fn taken(records: &Records, rows: &Rows) -> Verdict {
    let Some(reserve) = &rows.reserve else {
        return Open;
    };
    let wanted = records.delta.map(|delta| i64::from(delta.delta));
    let fits = match reserve.status {
        Some(Status::Confirmed) => wanted.is_none_or(|wanted| wanted == reserve.delta),
        Some(Status::Rejected) => reserve.delta == 0,
        _ => false,
    };
    if fits {
        return Settled;
    }
    let status = reserve.status.map_or("no decision", Status::as_str);
    let what = format!("{status}, and the ledger moved {}", reserve.delta);
    Violated(Invariant::Stock, what)
}

fn given_back(rows: &Rows) -> Verdict {
    match (&rows.reserve, &rows.release) {
        (_, None) => Open,
        (None, Some(_)) => Violated(
            Invariant::Stock,
            "released without a reservation".to_owned(),
        ),
        (Some(reserve), Some(release)) if release.delta == -reserve.delta => Settled,
        (Some(reserve), Some(release)) => Violated(
            Invariant::Stock,
            format!("reserved {}, released {}", reserve.delta, release.delta),
        ),
    }
}

fn decided(records: &Records, rows: &Rows) -> Verdict {
    match (&records.outcome, &rows.reserve) {
        (Some(fact), Some(movement)) => same_decision(fact, movement),
        _ => Open,
    }
}

/// The release of a rejected order is no fact.
fn released(records: &Records, rows: &Rows) -> Verdict {
    match (&records.outcome, &rows.release) {
        (None, Some(movement)) if movement.status.is_none() => Settled,
        (Some(fact), Some(movement)) => same_decision(fact, movement),
        _ => Open,
    }
}

fn same_decision(fact: &Outcome, movement: &Movement) -> Verdict {
    let same = Some(fact.status) == movement.status
        && fact.reason == movement.reason
        && fact.decided_at == movement.decided_at;
    if same {
        return Settled;
    }
    let what = format!(
        "order_outcomes says {}, the ledger something else",
        fact.status.as_str()
    );
    Violated(Invariant::Decided, what)
}

fn order_in_step(records: &Records, rows: &Rows) -> Verdict {
    match (&records.order, &rows.order) {
        (None, _) => Settled,
        (Some(_), None) => Open,
        // The copies of an order agree but for their time.
        (Some(order), Some(row))
            if *row
                == (Order {
                    created_at: row.created_at,
                    ..order.clone()
                }) =>
        {
            Settled
        }
        _ => Violated(Invariant::InStep, "its row is another order".to_owned()),
    }
}

fn fact_in_step(records: &Records, rows: &Rows) -> Verdict {
    match (&records.outcome, &rows.outcome) {
        (None, _) => Settled,
        (Some(_), None) => Open,
        (Some(fact), Some(row)) if fact == row => Settled,
        _ => Violated(
            Invariant::InStep,
            "the row of its outcome says something else".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use shared::contract::{OrderId, ProductId, Timestamp, UserId};

    use super::*;

    const FRESH: Duration = Duration::ZERO;

    /// A confirmed order on its way's end.
    fn settled() -> (Records, Rows) {
        let (id, at) = (OrderId::random(), Timestamp::now());
        let order = Order {
            id,
            user_id: UserId(1),
            product_id: ProductId(7),
            qty: 2,
            unit_price: 5,
            total_price: 10,
            created_at: at,
            idempotency_key: None,
        };
        let delta = Delta {
            order_id: id,
            product_id: order.product_id,
            kind: DeltaKind::Reserve,
            delta: -2,
        };
        let outcome = Outcome {
            order_id: id,
            kind: DeltaKind::Reserve,
            status: Status::Confirmed,
            reason: None,
            decided_at: at,
        };
        let reserve = Movement {
            delta: -2,
            status: Some(Status::Confirmed),
            reason: None,
            decided_at: at,
        };
        let rows = Rows {
            order: Some(order.clone()),
            reserve: Some(reserve),
            release: None,
            outcome: Some(outcome),
        };
        let records = Records {
            order: Some(order),
            delta: Some(delta),
            outcome: Some(outcome),
        };
        (records, rows)
    }

    fn violated(verdict: &Verdict) -> Option<Invariant> {
        match verdict {
            Violated(invariant, _) => Some(*invariant),
            Missing(_) => Some(Invariant::Atomic),
            Settled | Open => None,
        }
    }

    #[test]
    fn an_order_is_open_until_everything_agrees() {
        let (records, rows) = settled();
        let reserve = DeltaKind::Reserve;
        assert_eq!(judge(reserve, &records, &rows, FRESH), Settled);
        assert_eq!(judge(reserve, &records, &Rows::default(), FRESH), Open);
        let unwritten = Rows {
            outcome: None,
            ..rows.clone()
        };
        assert_eq!(judge(reserve, &records, &unwritten, TOGETHER), Open);
        let undecided = Records {
            outcome: None,
            ..records
        };
        assert_eq!(judge(reserve, &undecided, &rows, TOGETHER), Open);
    }

    #[test]
    fn half_a_transaction_is_a_violation_once_the_rest_should_have_come() {
        let (records, rows) = settled();
        let torn = Records {
            delta: None,
            ..records.clone()
        };
        assert_eq!(judge(DeltaKind::Reserve, &torn, &rows, FRESH), Open);
        let late = judge(DeltaKind::Reserve, &torn, &rows, TOGETHER);
        assert_eq!(violated(&late), Some(Invariant::Atomic));
        let (orderless, unknown) = (
            Records {
                order: None,
                ..records
            },
            Rows {
                order: None,
                ..rows
            },
        );
        let late = judge(DeltaKind::Reserve, &orderless, &unknown, TOGETHER);
        assert_eq!(violated(&late), Some(Invariant::Atomic));
    }

    #[test]
    fn an_order_that_is_written_before_it_is_seen_is_waited_for() {
        let (records, rows) = settled();
        let unseen = Records {
            order: None,
            ..records
        };
        assert_eq!(judge(DeltaKind::Reserve, &unseen, &rows, ALONE), Open);
        assert_eq!(judge(DeltaKind::Reserve, &unseen, &rows, TOGETHER), Settled);
    }

    #[test]
    fn a_repeated_fact_alone_is_held_to_its_rows_only() {
        let (records, rows) = settled();
        let repeated = Records {
            outcome: records.outcome,
            ..Records::default()
        };
        assert_eq!(judge(DeltaKind::Reserve, &repeated, &rows, FRESH), Open);
        assert_eq!(judge(DeltaKind::Reserve, &repeated, &rows, ALONE), Settled);
    }

    #[test]
    fn each_contradiction_is_named() {
        type Spoil = fn(&mut Records, &mut Rows);
        let cases: [(Invariant, Spoil); 5] = [
            (Invariant::Atomic, |records, _| {
                records.delta = records.delta.map(|delta| Delta { delta: -3, ..delta });
            }),
            (Invariant::Stock, |_, rows| {
                rows.reserve = rows.reserve.map(|row| Movement { delta: 0, ..row });
            }),
            (Invariant::Decided, |_, rows| {
                let decided_at = Timestamp::from_millis(0).unwrap();
                rows.reserve = rows.reserve.map(|row| Movement { decided_at, ..row });
            }),
            (Invariant::InStep, |_, rows| {
                rows.order = rows.order.take().map(|row| Order { qty: 9, ..row });
            }),
            (Invariant::InStep, |_, rows| {
                let status = Status::Rejected;
                rows.outcome = rows.outcome.map(|row| Outcome { status, ..row });
            }),
        ];
        for (expected, spoil) in cases {
            let (mut records, mut rows) = settled();
            spoil(&mut records, &mut rows);
            let verdict = judge(DeltaKind::Reserve, &records, &rows, FRESH);
            assert_eq!(violated(&verdict), Some(expected));
        }
    }

    #[test]
    fn a_release_gives_back_what_was_reserved_and_of_a_rejected_order_says_nothing() {
        let (_, rows) = settled();
        let release = |delta, status| Rows {
            release: rows.reserve.map(|row| Movement {
                delta,
                status,
                ..row
            }),
            outcome: None,
            ..rows.clone()
        };
        let judge = |rows: &Rows| judge(DeltaKind::Release, &Records::default(), rows, FRESH);
        assert_eq!(judge(&release(2, None)), Settled);
        assert_eq!(judge(&release(2, Some(Status::Cancelled))), Open);
        assert_eq!(violated(&judge(&release(3, None))), Some(Invariant::Stock));
    }
}
