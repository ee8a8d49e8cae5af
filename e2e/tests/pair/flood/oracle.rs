//! What becomes of a record, by the contract's words alone: no decoder of the services is used.

use e2e::OrderRow;
use serde_json::{Map, Value};
use shared::contract::Timestamp;
use uuid::Uuid;

/// A delta that keeps the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoodDelta {
    /// The order's id, as the ledger spells it.
    pub(crate) reference: String,
    pub(crate) kind: String,
    pub(crate) product_id: i64,
    pub(crate) delta: i64,
}

/// `None`: it belongs into the dead letters.
pub(crate) fn delta(value: Option<&[u8]>) -> Option<GoodDelta> {
    let Ok(Value::Object(object)) = serde_json::from_slice(value?) else {
        return None;
    };
    let text = |name: &str| object.get(name)?.as_str();
    let number = |name: &str| object.get(name)?.as_i64();
    let good = GoodDelta {
        reference: Uuid::parse_str(text("order_id")?).ok()?.to_string(),
        kind: text("kind")?.to_owned(),
        product_id: number("product_id")?,
        delta: number("delta")?,
    };
    let in_range = match &*good.kind {
        "reserve" => (-10_000..=-1).contains(&good.delta),
        "release" => (1..=10_000).contains(&good.delta),
        _ => false,
    };
    (in_range && object.len() == 4 && good.product_id >= 1).then_some(good)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It keeps the contract: this row.
    Row(Box<OrderRow>),
    /// No sink can write it.
    Letter,
    /// No order-service writes it, but a sink, which only knows types, may be able to: a row
    /// of this id, or a dead letter.
    Either(String),
}

/// `None`: another schema than the contract's. What a sink does then is its tables' affair.
pub(crate) fn order(value: &[u8], schema: &Value) -> Option<Verdict> {
    // As Kafka's JsonConverter, it reads the first JSON value only.
    let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Value>();
    let Some(Ok(Value::Object(envelope))) = values.next() else {
        return Some(Verdict::Letter);
    };
    let (Some(found), Some(payload)) = (envelope.get("schema"), envelope.get("payload")) else {
        return Some(Verdict::Letter);
    };
    if envelope.len() > 2 {
        return Some(Verdict::Letter);
    }
    if found != schema {
        return None;
    }
    let whole = value[values.byte_offset()..].trim_ascii().is_empty();
    Some(match payload {
        Value::Object(payload) => of_payload(payload, whole),
        _ => Verdict::Letter,
    })
}

fn of_payload(payload: &Map<String, Value>, whole: bool) -> Verdict {
    let id = payload.get("id").and_then(Value::as_str);
    let key = payload.get("idempotency_key").unwrap_or(&Value::Null);
    let numbers = [
        "user_id",
        "product_id",
        "unit_price",
        "total_price",
        "created_at",
    ];
    let fits = |name: &str, largest: i64| {
        let number = payload.get(name);
        number.is_some_and(|number| is_integer(number, largest))
    };
    let typed = fits("qty", i32::MAX.into())
        && numbers.iter().all(|name| fits(name, i64::MAX))
        && (key.is_null() || key.is_string());
    match id {
        Some(id) if typed => match row(payload) {
            Some(row) if whole && payload.len() == 8 => Verdict::Row(Box::new(row)),
            _ => Verdict::Either(id.to_owned()),
        },
        _ => Verdict::Letter,
    }
}

/// Whether a JSON number is one of integers; 5.0 is.
fn is_integer(number: &Value, largest: i64) -> bool {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => (-largest - 1..=largest).contains(&integer),
        (None, Some(float)) => float.fract() == 0.0 && float.abs() < 9e15,
        _ => false,
    }
}

fn row(payload: &Map<String, Value>) -> Option<OrderRow> {
    const YEAR_10000: i64 = 253_402_300_800_000;
    let number = |name: &str| payload.get(name)?.as_i64();
    let id = payload.get("id")?.as_str()?;
    let row = OrderRow {
        id: id.parse().ok()?,
        user_id: number("user_id")?,
        product_id: number("product_id")?,
        qty: number("qty")?.try_into().ok()?,
        unit_price: number("unit_price")?,
        total_price: number("total_price")?,
        created_at: Timestamp::from_millis(number("created_at")?)?,
        idempotency_key: payload.get("idempotency_key")?.as_str().map(str::to_owned),
    };
    let key = row.idempotency_key.as_deref();
    let kept = row.id.to_string() == id
        && row.user_id >= 1
        && row.product_id >= 1
        && (1..=10_000).contains(&row.qty)
        && row.unit_price >= 0
        && row.unit_price.checked_mul(row.qty.into()) == Some(row.total_price)
        && (0..YEAR_10000).contains(&row.created_at.millis())
        && key.is_none_or(|key| {
            (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
        });
    kept.then_some(row)
}
