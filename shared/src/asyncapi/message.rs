use serde_json::{Value, json};

use crate::contract::{Delta, Order, Outcome, ValueSchema};

/// A kind of record.
pub struct Message {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) key: Option<Value>,
    pub(super) headers: Value,
    /// `None`: anything, also nothing.
    pub(super) value: Option<ValueSchema>,
}

pub fn order() -> Message {
    Message {
        name: "Order",
        summary: "An order as placed, in Kafka Connect's JSON envelope. Copies of one agree \
                  but for `created_at`.",
        key: Some(order_id()),
        headers: record_headers(),
        value: Some(Order::value_schema()),
    }
}

pub fn delta() -> Message {
    Message {
        name: "Delta",
        summary: "What an order, or its cancellation, asks of a product's stock.",
        key: Some(product_id()),
        headers: record_headers(),
        value: Some(Delta::value_schema()),
    }
}

pub fn outcome() -> Message {
    Message {
        name: "Outcome",
        summary: "What was decided on a delta, in Kafka Connect's JSON envelope. All copies of \
                  one are identical.",
        key: Some(order_id()),
        headers: record_headers(),
        value: Some(Outcome::value_schema()),
    }
}

/// Of a delta.
pub fn dead_letter() -> Message {
    let text = |description: &str| json!({ "type": "string", "description": description });
    Message {
        name: "DeadLetter",
        summary: "A record that can never be applied: key, value and headers as they were, and \
                  why.",
        key: None,
        headers: json!({
            "type": "object",
            "required": ["dlq.reason", "dlq.topic", "dlq.partition", "dlq.offset"],
            "properties": {
                "dlq.reason": text("What is wrong with it."),
                "dlq.topic": text("Where it was."),
                "dlq.partition": number("Where it was."),
                "dlq.offset": number("Where it was."),
                "dlq.truncated": text("What is missing, where only a part of the record is kept."),
            },
        }),
        value: None,
    }
}

/// Of a dead letter of a delta.
pub fn replay_marker() -> Message {
    Message {
        name: "ReplayMarker",
        summary: "Says, behind a dead letter and without a key or a value, that it was put back.",
        key: None,
        headers: json!({
            "type": "object",
            "required": ["dlq.replayed"],
            "properties": {
                "dlq.replayed": {
                    "type": "string",
                    "pattern": "^[0-9]+-[0-9]+$",
                    "description": "Partition and offset of the letter, which are on this topic.",
                },
            },
            "additionalProperties": false,
        }),
        value: None,
    }
}

fn order_id() -> Value {
    json!({ "type": "string", "format": "uuid", "description": "The order's id." })
}

fn product_id() -> Value {
    number("The product's id: a product's orders are served first come, first served.")
}

/// As keys and headers have them.
fn number(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+$", "description": description })
}

/// What [`crate::kafka::record_headers`] writes.
fn record_headers() -> Value {
    json!({
        "type": "object",
        "required": ["traceparent", "content-type", "producer"],
        "properties": {
            "traceparent": {
                "type": "string",
                "pattern": "^[0-9a-fA-F]{2}-[0-9a-fA-F]{32}-[0-9a-fA-F]{16}-[0-9a-fA-F]{2}$",
                "description": "W3C Trace Context: the trace of the request that placed the order.",
            },
            "content-type": { "const": "application/json" },
            "producer": {
                "type": "string",
                "pattern": "^[^@]+@[^@]+$",
                "description": "Service and version that wrote it.",
                "examples": [concat!("order-service@", env!("CARGO_PKG_VERSION"))],
            },
        },
    })
}
