use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use shared::contract::{ContractError, OrderId, Status, Timestamp, UserId};
use shared::http::{FieldError, Page, bad_cursor, page_limit};
use utoipa::IntoParams;

use crate::known_order::{KnownOrder, OrderBody};

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
    /// Orders on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
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
    type Error = Vec<FieldError>;

    fn try_from(query: ListOrders) -> Result<Self, Self::Error> {
        let limit = page_limit(query.limit);
        let status = query.status.as_deref().map(str::parse).transpose();
        let status =
            status.map_err(|error: ContractError| FieldError::new("status", error.to_string()));
        let cursor = query.cursor.as_deref().map(str::parse).transpose();
        match (limit, status, cursor) {
            (Ok(limit), Ok(status), Ok(cursor)) => Ok(Self {
                user_id: query.user_id.map(UserId),
                status,
                cursor,
                limit,
            }),
            (limit, status, cursor) => Err([limit.err(), status.err(), cursor.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
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
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let parse = || {
            let (millis, id) = text.split_once('.')?;
            let created_at = Timestamp::from_millis(millis.parse().ok()?)?;
            Some(Self {
                created_at,
                id: id.parse().ok()?,
            })
        };
        parse().ok_or_else(bad_cursor)
    }
}

impl From<&KnownOrder> for Cursor {
    fn from(known: &KnownOrder) -> Self {
        Self {
            created_at: known.order.created_at,
            id: known.order.id,
        }
    }
}

/// A page's orders, and where the next page begins; `None` at the end of the list.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) orders: Vec<KnownOrder>,
    pub(crate) next: Option<Cursor>,
}

impl From<Found> for Page<OrderBody> {
    fn from(found: Found) -> Self {
        Self {
            items: found.orders.iter().map(OrderBody::from).collect(),
            next_cursor: found.next.map(|next| next.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_passes() {
        let cursor = Cursor {
            created_at: Timestamp::now(),
            id: OrderId::random(),
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for bad in [
            "",
            "x",
            "1.",
            "1.x",
            ".0193b5a0-0000-7000-8000-000000000001",
        ] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
