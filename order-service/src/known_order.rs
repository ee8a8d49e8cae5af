use serde::Serialize;
use shared::contract::{
    ContractError, Order, OrderId, Outcome, ProductId, Reason, Status, Timestamp, UserId,
};
use utoipa::ToSchema;

use crate::tail::Recent;

/// The catalog's word on a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    status: Status,
    reason: Option<Reason>,
}

impl Decision {
    /// A reason that a later version gives is left out: the status alone decides.
    pub(crate) fn from_columns(status: &str, reason: Option<&str>) -> Result<Self, ContractError> {
        let reason = reason.map(str::parse).transpose();
        Ok(Self {
            status: status.parse()?,
            reason: reason.unwrap_or_else(|error| {
                tracing::debug!(%error, "a decision's reason is left out");
                None
            }),
        })
    }
}

impl From<Outcome> for Decision {
    fn from(outcome: Outcome) -> Self {
        Self {
            status: outcome.status,
            reason: outcome.reason,
        }
    }
}

/// An order and the facts known about it, from the database, the tail, or both. Facts
/// never contradict each other, so merging is a union.
#[derive(Debug, Clone)]
pub(crate) struct KnownOrder {
    pub(crate) order: Order,
    pub(crate) reserve: Option<Decision>,
    pub(crate) cancelled: bool,
}

impl KnownOrder {
    /// An order of which nothing more is known yet.
    pub(crate) fn placed(order: Order) -> Self {
        Self {
            order,
            reserve: None,
            cancelled: false,
        }
    }

    pub(crate) fn with(mut self, recent: &Recent) -> Self {
        self.reserve = self.reserve.or(recent.reserve.map(Decision::from));
        self.cancelled |= recent
            .release
            .is_some_and(|fact| fact.status == Status::Cancelled);
        self
    }

    pub(crate) fn status(&self) -> Status {
        match self.reserve {
            _ if self.cancelled => Status::Cancelled,
            Some(decision) => decision.status,
            None => Status::Pending,
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.status() == Status::Pending
    }
}

/// An order as the API shows it. Prices are in minor currency units.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(title = "Order")]
pub(crate) struct OrderBody {
    #[schema(value_type = String, format = Uuid, example = "0193b5a0-0000-7000-8000-000000000001")]
    id: OrderId,
    #[schema(value_type = i64, example = 1)]
    user_id: UserId,
    #[schema(value_type = i64, example = 1)]
    product_id: ProductId,
    #[schema(example = 2)]
    qty: i32,
    #[schema(example = 1200)]
    unit_price: i64,
    #[schema(example = 2400)]
    total_price: i64,
    #[schema(example = "CONFIRMED")]
    status: Status,
    /// Why it was rejected; null otherwise.
    reason: Option<Reason>,
    #[schema(example = "2026-11-24T03:13:20.123Z")]
    created_at: Timestamp,
}

impl From<&KnownOrder> for OrderBody {
    fn from(known: &KnownOrder) -> Self {
        let order = &known.order;
        let status = known.status();
        let rejected = known.reserve.filter(|_| status == Status::Rejected);
        Self {
            id: order.id,
            user_id: order.user_id,
            product_id: order.product_id,
            qty: order.qty,
            unit_price: order.unit_price,
            total_price: order.total_price,
            status,
            reason: rejected.and_then(|decision| decision.reason),
            created_at: order.created_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::contract::DeltaKind;

    use super::*;
    use crate::tail::tests::order;

    fn known() -> KnownOrder {
        KnownOrder::placed(order(OrderId::random()))
    }

    fn fact(kind: DeltaKind, status: Status, reason: Option<Reason>) -> Option<Outcome> {
        let decided_at = Timestamp::now();
        Some(Outcome {
            order_id: OrderId::random(),
            kind,
            status,
            reason,
            decided_at,
        })
    }

    #[test]
    fn a_cancellation_outweighs_the_reservation_wherever_each_is_known_from() {
        let confirmed = fact(DeltaKind::Reserve, Status::Confirmed, None);
        let cancelled = fact(DeltaKind::Release, Status::Cancelled, None);
        assert_eq!(known().status(), Status::Pending);
        let from_tail = Recent {
            order: None,
            reserve: confirmed,
            release: None,
        };
        assert_eq!(known().with(&from_tail).status(), Status::Confirmed);
        let mut stored = known();
        stored.cancelled = true;
        assert_eq!(stored.with(&from_tail).status(), Status::Cancelled);
        let from_tail = Recent {
            order: None,
            reserve: None,
            release: cancelled,
        };
        assert_eq!(known().with(&from_tail).status(), Status::Cancelled);
    }

    #[test]
    fn only_a_rejection_has_a_reason() {
        let rejected = fact(
            DeltaKind::Reserve,
            Status::Rejected,
            Some(Reason::OutOfStock),
        );
        let recent = Recent {
            order: None,
            reserve: rejected,
            release: None,
        };
        let body = OrderBody::from(&known().with(&recent));
        assert_eq!(body.reason, Some(Reason::OutOfStock));
        assert_eq!(OrderBody::from(&known()).reason, None);
    }
}
