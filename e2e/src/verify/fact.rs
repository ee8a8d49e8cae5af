use std::fmt;

use serde::{Deserialize, Serialize};
use shared::contract::{Delta, DeltaKind, Order, OrderId, Outcome, Reason, Status};

/// Something seen of one order, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Fact {
    pub(super) id: OrderId,
    pub(super) place: Place,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    Record {
        topic: String,
        partition: i32,
        offset: i64,
    },
    /// The database's table; the row is the order's.
    Row(String),
    /// The line of a file of answers.
    Line(usize),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum What {
    OrderRecord(Order),
    OrderRow(Order),
    DeltaRecord(Delta),
    /// A delta that the catalog-service could not apply.
    DeadDelta(DeltaKind),
    OutcomeRecord(Decision),
    OutcomeRow(Decision),
    /// A record that the sink could not write; likewise below.
    DeadOrder,
    DeadOutcome(DeltaKind),
    /// A row of `stock_ledger`.
    Movement(Movement),
    Answer(Answer),
    /// The status that a cancellation was answered.
    CancelAnswer(Option<u16>),
}

/// An outcome without its order's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decision {
    pub(super) kind: DeltaKind,
    pub(super) status: Status,
    pub(super) reason: Option<Reason>,
    pub(super) decided_at_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Movement {
    pub(super) kind: DeltaKind,
    pub(super) product_id: i64,
    pub(super) delta: i64,
    /// `None`: the row moved nothing and stands for no outcome.
    pub(super) decision: Option<Decision>,
}

/// What was asked for, and the answer's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    pub(super) user_id: i64,
    pub(super) product_id: i64,
    pub(super) qty: i32,
    pub(super) unit_price: i64,
    pub(super) key: Option<String>,
}

/// The id that an order with an `Idempotency-Key` has on every instance, for ever: of its user,
/// product, quantity and unit price.
pub(super) fn keyed_id(key: &str, numbers: [i64; 4]) -> OrderId {
    let [user, product, qty, price] = numbers.map(|number| number.to_string());
    let texts = ["v1", &user, key, &product, &qty, &price];
    OrderId::from_parts(&texts.map(str::as_bytes))
}

/// There are answers, and each of them said that the service did nothing.
pub(super) fn only_refused(statuses: impl IntoIterator<Item = Option<u16>>) -> bool {
    let mut statuses = statuses.into_iter().peekable();
    statuses.peek().is_some() && statuses.all(|status| matches!(status, Some(400..=499 | 503)))
}

impl From<Outcome> for Decision {
    fn from(outcome: Outcome) -> Self {
        Self {
            kind: outcome.kind,
            status: outcome.status,
            reason: outcome.reason,
            decided_at_ms: outcome.decided_at.millis(),
        }
    }
}

impl Answer {
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.status, Some(200 | 201))
    }

    pub(super) fn keyed_id(&self) -> Option<OrderId> {
        let qty = i64::from(self.qty);
        let numbers = [self.user_id, self.product_id, qty, self.unit_price];
        Some(keyed_id(self.key.as_ref()?, numbers))
    }

    pub(super) fn asked_for(&self, order: &Order) -> bool {
        self.user_id == order.user_id.0
            && self.product_id == order.product_id.0
            && self.qty == order.qty
            && self.unit_price == order.unit_price
            && self.key == order.idempotency_key
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record {
                topic,
                partition,
                offset,
            } => write!(f, "{topic}-{partition}@{offset}"),
            Self::Row(table) => write!(f, "table {table}"),
            Self::Line(line) => write!(f, "answer {line}"),
        }
    }
}
