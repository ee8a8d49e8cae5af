//! A payload under its schema.
//!
//! Each value is looked at as raw JSON text: that keeps decimals exact, tells Kafka's
//! node types apart for its error texts, and builds no tree for a record.

use std::fmt;

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::{ConvertError, Schema, Type, Value};

mod container;
mod logical;
mod scalar;

/// How to treat what the schema leaves open.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Refuse what the JsonConverter accepts by making up a value: numbers that wrap or
    /// lose their fraction, text where a number is due (0), numbers where text is due
    /// (null), decimals with more digits than their scale.
    pub strict: bool,
    /// Put a field's default where the payload has null or nothing.
    pub replace_null_with_default: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            strict: false,
            replace_null_with_default: true,
        }
    }
}

/// JSON text, told apart by its first byte. The text is known to be well formed, but
/// for a struct's.
#[derive(Clone, Copy)]
enum Node<'a> {
    Null,
    Boolean(bool),
    Number(&'a str),
    String(&'a str),
    Array(&'a str),
    Object(&'a str),
}

impl<'a> Node<'a> {
    fn of(json: &'a str) -> Self {
        match json.as_bytes().first() {
            Some(b'n') | None => Self::Null,
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'"') => Self::String(json),
            Some(b'[') => Self::Array(json),
            Some(b'{') => Self::Object(json),
            Some(_) => Self::Number(json),
        }
    }

    /// Jackson's `JsonNodeType`.
    fn type_name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean(_) => "BOOLEAN",
            Self::Number(_) => "NUMBER",
            Self::String(_) => "STRING",
            Self::Array(_) => "ARRAY",
            Self::Object(_) => "OBJECT",
        }
    }
}

impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(text) => f.write_str(text),
            other => f.write_str(other.type_name()),
        }
    }
}

/// As [`convert`], of text that may not be well formed. A struct's is checked as its members are
/// read: one scan less.
pub(super) fn read(schema: &Schema, text: &str, rules: Rules) -> Result<Value, ConvertError> {
    let is_struct = schema.logical.is_none() && matches!(schema.kind, Type::Struct(_));
    if is_struct && text.starts_with('{') {
        return convert(schema, text, rules);
    }
    convert(
        schema,
        serde_json::from_str::<&RawValue>(text)?.get(),
        rules,
    )
}

pub(super) fn convert(schema: &Schema, json: &str, rules: Rules) -> Result<Value, ConvertError> {
    let node = Node::of(json);
    if let Node::Null = node {
        return null(schema, rules);
    }
    if let Some(logical) = schema.logical {
        return logical::convert(logical, node, rules);
    }
    match &schema.kind {
        Type::Array(items) => container::array(items, node, rules),
        Type::Map { keys, values } => container::map(keys, values, node, rules),
        Type::Struct(fields) => container::structure(fields, node, rules),
        scalar => scalar::convert(scalar, node, rules),
    }
}

fn null(schema: &Schema, rules: Rules) -> Result<Value, ConvertError> {
    match &schema.default {
        Some(default) if rules.replace_null_with_default => Ok(default.clone()),
        _ if schema.optional => Ok(Value::Null),
        _ => {
            let kind = schema.kind.name();
            Err(ConvertError::data(format!(
                "Invalid null value for required {kind} field"
            )))
        }
    }
}

/// JSON without a schema, as the JsonConverter types it.
pub(super) fn schemaless(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Int64(integer),
            None => Value::Float64(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(elements) => Value::Array(elements.iter().map(schemaless).collect()),
        Json::Object(members) => {
            let entry =
                |(key, value): (&String, &Json)| (Value::String(key.clone()), schemaless(value));
            Value::Map(members.iter().map(entry).collect())
        }
    }
}
