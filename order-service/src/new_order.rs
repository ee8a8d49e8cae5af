use serde::Deserialize;
use shared::contract::{
    Delta, DeltaKind, MAX_QUANTITY, Order, OrderId, ProductId, Timestamp, UserId,
};
use shared::http::FieldError;
use utoipa::ToSchema;

use crate::number;

/// The body of `POST /orders`. Prices are in minor currency units.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceOrder {
    #[serde(deserialize_with = "number::saturating")]
    #[schema(example = 1, minimum = 1)]
    user_id: i64,
    #[serde(deserialize_with = "number::saturating")]
    #[schema(example = 1, minimum = 1)]
    product_id: i64,
    #[serde(deserialize_with = "number::saturating")]
    #[schema(example = 2, minimum = 1, maximum = 10_000)]
    qty: i64,
    #[serde(deserialize_with = "number::saturating")]
    #[schema(example = 1200, minimum = 0)]
    unit_price: i64,
}

/// An order that keeps every rule; there is no other way to make one.
#[derive(Debug, Clone)]
pub(crate) struct NewOrder(Order);

impl NewOrder {
    /// Checks every rule, and names every field that breaks one.
    pub(crate) fn new(request: PlaceOrder, key: Option<String>) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut require = |holds: bool, field: &str, rule: &str| {
            if !holds {
                errors.push(FieldError::new(field, rule));
            }
        };
        require(request.user_id >= 1, "user_id", "must be positive");
        require(request.product_id >= 1, "product_id", "must be positive");
        let qty = i32::try_from(request.qty)
            .ok()
            .filter(|qty| (1..=MAX_QUANTITY).contains(qty));
        require(qty.is_some(), "qty", "must be 1 to 10000");
        require(
            request.unit_price >= 0,
            "unit_price",
            "must not be negative",
        );
        let total = qty.and_then(|qty| request.unit_price.checked_mul(qty.into()));
        require(
            qty.is_none() || total.is_some(),
            "unit_price",
            "times qty is too large",
        );
        match (qty, total) {
            (Some(qty), Some(total_price)) if errors.is_empty() => {
                Ok(Self::of_valid(request, qty, total_price, key))
            }
            _ => Err(errors),
        }
    }

    fn of_valid(request: PlaceOrder, qty: i32, total_price: i64, key: Option<String>) -> Self {
        let id = key
            .as_deref()
            .map_or_else(OrderId::random, |key| keyed_id(request, key));
        Self(Order {
            id,
            user_id: UserId(request.user_id),
            product_id: ProductId(request.product_id),
            qty,
            unit_price: request.unit_price,
            total_price,
            created_at: Timestamp::now(),
            idempotency_key: key,
        })
    }

    pub(crate) fn into_order(self) -> Order {
        self.0
    }
}

/// Frozen for ever: a retry must give the same id, whatever version answers it.
fn keyed_id(request: PlaceOrder, key: &str) -> OrderId {
    let [user, product, qty, price] = [
        request.user_id,
        request.product_id,
        request.qty,
        request.unit_price,
    ]
    .map(|number| number.to_string());
    let texts = ["v1", &user, key, &product, &qty, &price];
    OrderId::from_parts(&texts.map(str::as_bytes))
}

/// The reservation that an order asks for, or its release.
pub(crate) fn delta(order: &Order, kind: DeltaKind) -> Delta {
    let delta = match kind {
        DeltaKind::Reserve => -order.qty,
        DeltaKind::Release => order.qty,
    };
    Delta {
        order_id: order.id,
        product_id: order.product_id,
        kind,
        delta,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(json: &str) -> Result<NewOrder, Vec<FieldError>> {
        NewOrder::new(serde_json::from_str(json).unwrap(), None)
    }

    fn fields(json: &str) -> Vec<String> {
        place(json)
            .unwrap_err()
            .into_iter()
            .map(|error| error.field)
            .collect()
    }

    #[test]
    fn the_total_is_exact() {
        let order = place(r#"{"user_id":1,"product_id":2,"qty":3,"unit_price":4000000000}"#);
        assert_eq!(order.unwrap().into_order().total_price, 12_000_000_000);
    }

    #[test]
    fn every_field_that_breaks_a_rule_is_named() {
        assert_eq!(
            fields(r#"{"user_id":0,"product_id":-1,"qty":0,"unit_price":-1}"#),
            ["user_id", "product_id", "qty", "unit_price"]
        );
        for qty in ["-1", "10001", "3000000000", "99999999999999999999", "-1e30"] {
            let json = format!(r#"{{"user_id":1,"product_id":1,"qty":{qty},"unit_price":1}}"#);
            assert_eq!(fields(&json), ["qty"], "{qty}");
        }
    }

    #[test]
    fn a_total_that_overflows_is_refused() {
        let json = r#"{"user_id":1,"product_id":1,"qty":10000,"unit_price":9223372036854775807}"#;
        assert_eq!(fields(json), ["unit_price"]);
    }

    #[test]
    fn the_id_follows_from_key_and_content_alone() {
        let id = |json: &str, key: &str| {
            let order = NewOrder::new(serde_json::from_str(json).unwrap(), Some(key.into()));
            order.unwrap().into_order().id
        };
        let json = r#"{"user_id":1,"product_id":2,"qty":3,"unit_price":4}"#;
        assert_eq!(
            id(json, "k").to_string(),
            "ebbe3e06-e563-5a02-b3c8-e99f1613bf51"
        );
        assert_eq!(id(json, "k"), id(json, "k"));
        assert_ne!(id(json, "k"), id(json, "l"));
        assert_ne!(id(json, "k"), id(&json.replace('3', "5"), "k"));
        assert_ne!(
            place(json).unwrap().into_order().id,
            place(json).unwrap().into_order().id
        );
    }
}
