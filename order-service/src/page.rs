use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use shared::contract::{OrderId, Status, Timestamp, UserId};
use shared::http::Problem;
use utoipa::{IntoParams, ToSchema};

use crate::known_order::{KnownOrder, OrderBody};

const DEFAULT_LIMIT: u64 = 50;
const LARGEST_LIMIT: u64 = 500;

/// The query of `GET /orders`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListOrders {
    /// Only this user's orders.
    #[param(example = 1)]
    user_id: Option<i64>,
    /// Only orders with this status: PENDING, CONFIRMED, REJECTED or CANCELLED.
    #[param(example = "CONFIRMED")]
    status: Option<String>,
    /// Orders on a page, 1 to 500; 50 by default.
    #[param(example = 50)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A checked query.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) user_id: Option<UserId>,
    pub(crate) status: Option<Status>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) limit: u64,
}

impl TryFrom<ListOrders> for Filter {
    type Error = Problem;

    fn try_from(query: ListOrders) -> Result<Self, Problem> {
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=LARGEST_LIMIT).contains(&limit) {
            return Err(Problem::malformed(format!("limit must be 1 to {LARGEST_LIMIT}")));
        }
        let status = query.status.as_deref().map(str::parse).transpose();
        let status = status.map_err(|error| Problem::malformed(format!("the query: {error}")))?;
        let cursor = query.cursor.as_deref().map(str::parse).transpose()?;
        Ok(Self { user_id: query.user_id.map(UserId), status, cursor, limit })
    }
}

/// The place behind an order in the list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) created_at: Timestamp,
    pub(crate) id: OrderId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created_at.millis(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let parse = || {
            let (millis, id) = text.split_once('.')?;
            let created_at = Timestamp::from_millis(millis.parse().ok()?)?;
            Some(Self { created_at, id: id.parse().ok()? })
        };
        parse().ok_or_else(|| {
            Problem::malformed("cursor is not a `next_cursor` of this list; leave it out to start over")
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderPage {
    items: Vec<OrderBody>,
    /// For the next page; null on the last.
    #[schema(example = "1764000000123.0193b5a0-0000-7000-8000-000000000001")]
    next_cursor: Option<String>,
}

impl OrderPage {
    /// `found` holds one order more than `limit` where another page follows.
    pub(crate) fn new(mut found: Vec<KnownOrder>, limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next_cursor = last.map(|known| {
            Cursor { created_at: known.order.created_at, id: known.order.id }.to_string()
        });
        Self { items: found.iter().map(OrderBody::from).collect(), next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_passes() {
        let cursor = Cursor { created_at: Timestamp::now(), id: OrderId::random() };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for bad in ["", "x", "1.", "1.x", ".0193b5a0-0000-7000-8000-000000000001"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
