use super::super::bytes::from_base64;
use super::super::{ConvertError, Type, Value};
use super::{Node, Rules};

/// What the JsonConverter makes of a node, and whether that is what the JSON said.
pub(super) struct Scalar {
    value: Value,
    kind: &'static str,
    faithful: bool,
}

/// `kind` is not a container.
pub(super) fn convert(kind: &Type, node: Node<'_>, rules: Rules) -> Result<Value, ConvertError> {
    let name = kind.name();
    let (value, faithful) = match kind {
        Type::Int8 => int8(node),
        Type::Int16 => int16(node),
        Type::Int32 => int32(node),
        Type::Int64 => int64(node),
        Type::Float32 => float32(node),
        Type::Float64 => float64(node),
        Type::Boolean => boolean(node),
        Type::Bytes => bytes(node)?,
        _ => string(node)?,
    };
    Scalar {
        value,
        kind: name,
        faithful,
    }
    .under(rules, node)
}

impl Scalar {
    pub(super) fn made_up(value: Value, kind: &'static str) -> Self {
        Self {
            value,
            kind,
            faithful: false,
        }
    }

    pub(super) fn under(self, rules: Rules, node: Node<'_>) -> Result<Value, ConvertError> {
        if self.faithful || !rules.strict {
            return Ok(self.value);
        }
        let becomes = match self.value {
            Value::Bool(value) => value.to_string(),
            Value::Int8(value) => value.to_string(),
            Value::Int16(value) => value.to_string(),
            Value::Int32(value) => value.to_string(),
            Value::Int64(value) => value.to_string(),
            Value::Float32(value) => value.to_string(),
            Value::Float64(value) => value.to_string(),
            Value::Array(_) => "an empty array".to_owned(),
            _ => "null".to_owned(),
        };
        Err(ConvertError::Lossy {
            found: node.to_string(),
            kind: self.kind,
            becomes,
            field: None,
        })
    }
}

/// The integer part, and whether there was nothing else.
fn integer(node: Node<'_>) -> (i128, bool) {
    let Node::Number(text) = node else {
        return (0, false);
    };
    if let Ok(number) = text.parse::<i64>() {
        return (number.into(), true);
    }
    if let Ok(number) = text.parse::<i128>() {
        return (number, true);
    }
    let number: f64 = text.parse().unwrap_or(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the second half says whether it was cut"
    )]
    let whole = number.trunc() as i128;
    // Beyond 2^53 a double no longer tells neighbours apart.
    (
        whole,
        number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0,
    )
}

// Java narrows by keeping the low bytes.

fn int8(node: Node<'_>) -> (Value, bool) {
    let (wide, whole) = integer(node);
    let [a, ..] = wide.to_le_bytes();
    let value = i8::from_le_bytes([a]);
    (Value::Int8(value), whole && wide == value.into())
}

fn int16(node: Node<'_>) -> (Value, bool) {
    let (wide, whole) = integer(node);
    let [a, b, ..] = wide.to_le_bytes();
    let value = i16::from_le_bytes([a, b]);
    (Value::Int16(value), whole && wide == value.into())
}

fn int32(node: Node<'_>) -> (Value, bool) {
    let (wide, whole) = integer(node);
    let [a, b, c, d, ..] = wide.to_le_bytes();
    let value = i32::from_le_bytes([a, b, c, d]);
    (Value::Int32(value), whole && wide == value.into())
}

fn int64(node: Node<'_>) -> (Value, bool) {
    let (wide, whole) = integer(node);
    let [a, b, c, d, e, f, g, h, ..] = wide.to_le_bytes();
    let value = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    (Value::Int64(value), whole && wide == value.into())
}

fn float32(node: Node<'_>) -> (Value, bool) {
    let Node::Number(text) = node else {
        return (Value::Float32(0.0), false);
    };
    let value: f32 = text.parse().unwrap_or(0.0);
    (Value::Float32(value), value.is_finite())
}

fn float64(node: Node<'_>) -> (Value, bool) {
    let Node::Number(text) = node else {
        return (Value::Float64(0.0), false);
    };
    let value: f64 = text.parse().unwrap_or(0.0);
    (Value::Float64(value), value.is_finite())
}

fn boolean(node: Node<'_>) -> (Value, bool) {
    match node {
        Node::Boolean(value) => (Value::Bool(value), true),
        _ => (Value::Bool(false), false),
    }
}

fn string(node: Node<'_>) -> Result<(Value, bool), ConvertError> {
    match node {
        Node::String(json) => Ok((Value::String(serde_json::from_str(json)?), true)),
        _ => Ok((Value::Null, false)),
    }
}

fn bytes(node: Node<'_>) -> Result<(Value, bool), ConvertError> {
    let Node::String(json) = node else {
        return Ok((Value::Null, false));
    };
    let text: String = serde_json::from_str(json)?;
    let bytes = from_base64(&text).ok_or_else(|| ConvertError::data("Invalid bytes field"))?;
    Ok((Value::Bytes(bytes), true))
}
