use super::super::bytes::{decimal_text, from_base64};
use super::super::{ConvertError, Logical, Value};
use super::{Node, Rules};

const MILLIS_PER_DAY: i64 = 86_400_000;

pub(super) fn convert(
    logical: Logical,
    node: Node<'_>,
    rules: Rules,
) -> Result<Value, ConvertError> {
    let wrong = |name: &str, due: &str| {
        let found = node.type_name();
        ConvertError::data(format!(
            "Invalid type for {name}, underlying representation should be {due} but was {found}"
        ))
    };
    match logical {
        Logical::Decimal { scale } => match node {
            Node::Number(text) => decimal_number(text, scale, rules),
            Node::String(text) => decimal_bytes(text, scale)
                .map(Value::Decimal)
                .ok_or_else(|| ConvertError::data("Invalid bytes for Decimal field")),
            _ => Err(wrong("Decimal", "numeric or bytes")),
        },
        Logical::Date => {
            let days = int_node(node).and_then(|days| i32::try_from(days).ok());
            days.map(Value::Date)
                .ok_or_else(|| wrong("Date", "integer"))
        }
        Logical::Time => {
            let millis = int_node(node).and_then(|millis| i32::try_from(millis).ok());
            let millis = millis.ok_or_else(|| wrong("Time", "integer"))?;
            if !(0..=MILLIS_PER_DAY).contains(&millis.into()) {
                return Err(ConvertError::data(
                    "Time values must use number of milliseconds greater than 0 and less than 86400000",
                ));
            }
            Ok(Value::Time(millis))
        }
        Logical::Timestamp => {
            let millis = int_node(node);
            millis
                .map(Value::Timestamp)
                .ok_or_else(|| wrong("Timestamp", "integral"))
        }
    }
}

/// An integer as Jackson tells it: no fraction and no exponent in the text.
fn int_node(node: Node<'_>) -> Option<i64> {
    match node {
        Node::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn decimal_bytes(json: &str, scale: Option<i32>) -> Option<String> {
    let text: String = serde_json::from_str(json).ok()?;
    decimal_text(&from_base64(&text)?, scale?)
}

fn decimal_number(text: &str, scale: Option<i32>, rules: Rules) -> Result<Value, ConvertError> {
    let scale = i64::from(scale.unwrap_or(i32::MAX));
    if rules.strict && decimal_places(text) > scale {
        return Err(ConvertError::Lossy {
            found: text.to_owned(),
            kind: "Decimal",
            becomes: format!("a number of {scale} decimal places"),
            field: None,
        });
    }
    Ok(Value::Decimal(text.to_owned()))
}

fn decimal_places(number: &str) -> i64 {
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let fraction = digits.split_once('.').map_or("", |(_, fraction)| fraction);
    let fraction = fraction.trim_end_matches('0').len();
    let exponent = exponent.trim_start_matches('+').parse().unwrap_or(0_i64);
    i64::try_from(fraction)
        .unwrap_or(i64::MAX)
        .saturating_sub(exponent)
}
