use shared::contract::{DeltaKind, Order, OrderId, Status};

use super::fact::{Decision, Movement, keyed_id, only_refused};
use super::order::{At, Seen};
use super::report::{Invariant, Report};

/// Holds all that was seen of one order to the invariants that speak of one.
pub(super) fn check_order(id: OrderId, seen: &Seen<'_>, report: &mut Report) {
    let is_order = !seen.orders.is_empty();
    let accepted = seen.answers.iter().any(|answer| answer.what.is_accepted());
    report.orders += u64::from(is_order);
    let mut check = |applies: bool, invariant, faults: fn(&Seen<'_>) -> Vec<String>| {
        if applies {
            report.checked(invariant, id, faults(seen));
        }
    };
    check(is_order || accepted, Invariant::Acknowledged, acknowledged);
    let statuses = seen.answers.iter().map(|answer| answer.what.status);
    check(only_refused(statuses), Invariant::Refused, refused);
    let cancels = seen.cancels.iter().copied();
    check(only_refused(cancels), Invariant::Refused, refused_cancel);
    check(
        is_order || !seen.deltas.is_empty(),
        Invariant::Atomic,
        atomic,
    );
    check(!seen.movements.is_empty(), Invariant::Stock, taken);
    check(
        is_order
            || !seen.deltas.is_empty()
            || !seen.movements.is_empty()
            || !seen.outcomes.is_empty()
            || !seen.cancels.is_empty(),
        Invariant::Decided,
        decided,
    );
    check(
        is_order
            || !seen.order_rows.is_empty()
            || !seen.outcomes.is_empty()
            || !seen.outcome_rows.is_empty(),
        Invariant::InStep,
        in_step,
    );
    let is_undecided = is_order
        && seen.movement(DeltaKind::Reserve).is_none()
        && seen.dead_deltas.contains(&DeltaKind::Reserve);
    report.undecided += u64::from(is_undecided);
}

fn acknowledged(seen: &Seen<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let first = seen.orders.first();
    for answer in seen
        .answers
        .iter()
        .filter(|answer| answer.what.is_accepted())
    {
        match first {
            None => faults.push(format!(
                "{} says it was placed, but it is not on orders",
                answer.place
            )),
            Some(order) if !answer.what.asked_for(order.what) => faults.push(format!(
                "{} asked for something else than {} has",
                answer.place, order.place
            )),
            Some(_) => {}
        }
    }
    let copies = seen.orders.iter().zip(seen.orders.iter().skip(1));
    for (one, other) in copies.filter(|(one, other)| !same_but_for_time(one.what, other.what)) {
        faults.push(format!("{} and {} differ", one.place, other.place));
    }
    for order in seen
        .orders
        .iter()
        .filter(|order| is_of_another_id(order.what))
    {
        let place = order.place;
        faults.push(format!(
            "{place} has another id than its Idempotency-Key makes: it may be there twice"
        ));
    }
    faults
}

fn is_of_another_id(order: &Order) -> bool {
    let (user, product) = (order.user_id.0, order.product_id.0);
    let numbers = [user, product, order.qty.into(), order.unit_price];
    let key = order.idempotency_key.as_ref();
    key.is_some_and(|key| order.id != keyed_id(key, numbers))
}

fn same_but_for_time(one: &Order, other: &Order) -> bool {
    let created_at = one.created_at;
    *one == Order {
        created_at,
        ..other.clone()
    }
}

/// With a key, an order is known even if every answer refused it.
fn refused(seen: &Seen<'_>) -> Vec<String> {
    let found = seen.trace();
    let fault = found.map(|place| format!("every answer refused it, but it is in {place}"));
    fault.into_iter().collect()
}

fn refused_cancel(seen: &Seen<'_>) -> Vec<String> {
    let release = seen.deltas_of(DeltaKind::Release).next();
    let fault = release.map(|delta| {
        let place = delta.place;
        format!("every answer refused its cancellation, but {place} releases it")
    });
    fault.into_iter().collect()
}

fn atomic(seen: &Seen<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let order = seen.orders.first();
    let mut reserves = seen.deltas_of(DeltaKind::Reserve).peekable();
    match (order, reserves.peek()) {
        (Some(order), None) => {
            faults.push(format!(
                "{} has no reservation on catalog_deltas",
                order.place
            ));
        }
        (None, Some(delta)) => {
            faults.push(format!("{} reserves for no order on orders", delta.place));
        }
        _ => {}
    }
    if let Some(At { place, what }) = order {
        let other = reserves.find(|delta| {
            delta.what.delta != -what.qty || delta.what.product_id != what.product_id
        });
        if let Some(other) = other {
            faults.push(format!(
                "{} does not reserve what {place} orders",
                other.place
            ));
        }
    }
    faults
}

/// What the ledger says about the order's stock.
fn taken(seen: &Seen<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let reserve = seen.movement(DeltaKind::Reserve);
    if let (Some(reserve), Some(order)) = (reserve, seen.orders.first()) {
        let taken = match reserve.decision.map(|decision| decision.status) {
            Some(Status::Confirmed) => -i64::from(order.what.qty),
            Some(Status::Rejected) => 0,
            status => {
                faults.push(format!("stock_ledger's reserve is {status:?}"));
                reserve.delta
            }
        };
        if reserve.delta != taken {
            faults.push(format!(
                "stock_ledger's reserve moved {}, not {taken}",
                reserve.delta
            ));
        }
        if reserve.product_id != order.what.product_id.0 {
            faults.push(format!(
                "stock_ledger's reserve is of product {}",
                reserve.product_id
            ));
        }
    }
    if reserve.is_some() && seen.orders.is_empty() && seen.deltas.is_empty() {
        faults.push("stock_ledger reserves for no order".to_owned());
    }
    if let Some(release) = seen.movement(DeltaKind::Release) {
        faults.extend(given_back(reserve, release));
    }
    faults
}

fn given_back(reserve: Option<&Movement>, release: &Movement) -> Option<String> {
    let Some(reserve) = reserve else {
        return Some("stock_ledger has its release and no reserve".to_owned());
    };
    let same = release.product_id == reserve.product_id && release.delta == -reserve.delta;
    (!same).then(|| {
        format!(
            "stock_ledger reserved {} and released {}",
            reserve.delta, release.delta
        )
    })
}

fn decided(seen: &Seen<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let reserve = seen.movement(DeltaKind::Reserve);
    let is_dead = seen.dead_deltas.contains(&DeltaKind::Reserve);
    if !seen.orders.is_empty() && reserve.is_none() && !is_dead {
        faults.push("stock_ledger has no reserve of it: it is not decided".to_owned());
    }
    for kind in [DeltaKind::Reserve, DeltaKind::Release] {
        faults.extend(published(seen, kind));
    }
    faults.extend(cancelled(seen));
    faults
}

/// What was asked for, by a release, is in the ledger, and nothing else.
fn cancelled(seen: &Seen<'_>) -> Option<String> {
    let is_asked = seen.deltas_of(DeltaKind::Release).next().is_some();
    let is_dead = seen.dead_deltas.contains(&DeltaKind::Release);
    match seen.movement(DeltaKind::Release) {
        Some(_) if !is_asked => {
            Some("stock_ledger has a release, but catalog_deltas has none".to_owned())
        }
        Some(release) => misnamed(release),
        None if is_asked && !is_dead => {
            Some("catalog_deltas has a release, but stock_ledger has none".to_owned())
        }
        None if !is_asked && seen.cancels.contains(&Some(202)) => {
            Some("a cancellation was answered 202, but catalog_deltas has no release".to_owned())
        }
        None => None,
    }
}

/// An order is cancelled exactly if it gave something back.
fn misnamed(release: &Movement) -> Option<String> {
    let status = release.decision.map(|decision| decision.status);
    let is_cancelled = status == Some(Status::Cancelled);
    let delta = release.delta;
    ((delta != 0) != is_cancelled)
        .then(|| format!("stock_ledger's release moved {delta} and is {status:?}"))
}

/// A ledger row's fact is on `order_outcomes`, and every copy there is that fact.
fn published(seen: &Seen<'_>, kind: DeltaKind) -> Vec<String> {
    let decision = seen.movement(kind).and_then(|movement| movement.decision);
    let copies = seen.outcomes.iter().filter(|copy| copy.what.kind == kind);
    let mut faults: Vec<_> = copies
        .clone()
        .filter(|copy| Some(*copy.what) != decision)
        .map(|copy| format!("{} is not what stock_ledger says of its {kind}", copy.place))
        .collect();
    if decision.is_some() && copies.count() == 0 {
        faults.push(format!("the fact of its {kind} is not on order_outcomes"));
    }
    faults
}

fn in_step(seen: &Seen<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let is_copy = |row: &Order| seen.orders.iter().any(|copy| copy.what == row);
    match seen.order_rows.first() {
        None if !seen.orders.is_empty() && !seen.dead_order => {
            faults.push("table orders does not have it".to_owned());
        }
        Some(row) if !is_copy(row.what) => {
            faults.push("its row in table orders is none of its copies on orders".to_owned());
        }
        _ => {}
    }
    for kind in [DeltaKind::Reserve, DeltaKind::Release] {
        faults.extend(fact_in_step(seen, kind));
    }
    faults
}

fn fact_in_step(seen: &Seen<'_>, kind: DeltaKind) -> Option<String> {
    let of_kind = |fact: &&At<'_, Decision>| fact.what.kind == kind;
    let mut copies = seen.outcomes.iter().filter(of_kind).peekable();
    let row = seen.outcome_rows.iter().find(of_kind);
    let is_dead = seen.dead_outcomes.contains(&kind);
    match row {
        None if copies.peek().is_some() && !is_dead => Some(format!(
            "table order_outcomes does not have the fact of its {kind}"
        )),
        Some(row) if !copies.any(|copy| copy.what == row.what) => Some(format!(
            "the {kind} in table order_outcomes is no copy of a fact on order_outcomes"
        )),
        _ => None,
    }
}
