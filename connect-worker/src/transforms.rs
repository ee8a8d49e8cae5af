//! Single message transforms: a sink's records pass them after their converter, a source's
//! before it.

mod extract_field;
mod regex_router;
mod value_to_key;

use std::collections::HashMap;
use std::sync::Arc;

use shared::connect_json::{Record, Schema, Value};

use self::extract_field::ExtractField;
use self::value_to_key::ValueToKey;

pub use self::regex_router::{RegexRouter, RouterError, whole};

pub const VALUE_TO_KEY: &str = "org.apache.kafka.connect.transforms.ValueToKey";
pub const EXTRACT_FIELD_OF_KEY: &str = "org.apache.kafka.connect.transforms.ExtractField$Key";
pub const EXTRACT_FIELD_OF_VALUE: &str = "org.apache.kafka.connect.transforms.ExtractField$Value";
pub const REGEX_ROUTER: &str = "org.apache.kafka.connect.transforms.RegexRouter";

/// A derived schema is kept per schema it comes from; a topic has few.
const CACHED_SCHEMAS: usize = 1_000;

/// What a record's transforms see of it. `None` is Connect's null without a schema.
#[derive(Debug, Clone)]
pub struct ConnectRecord {
    pub topic: String,
    pub key: Option<Record>,
    pub value: Option<Record>,
}

/// One transform, as its configuration describes it.
#[derive(Debug, Clone)]
pub enum TransformRule {
    /// The named fields of the value become the key.
    ValueToKey {
        fields: Vec<String>,
        replace_null_with_default: bool,
    },
    /// A field takes the place of the struct it is in.
    ExtractField {
        part: Part,
        field: String,
        replace_null_with_default: bool,
    },
    /// Another topic name.
    RegexRouter(RegexRouter),
}

/// The half of a record that a transform works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Key,
    Value,
}

/// Why a record cannot be transformed. Bad data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransformError {
    /// The Java class of the transform.
    pub class: &'static str,
    pub message: String,
}

/// A connector's transforms, in their order.
#[derive(Debug)]
pub struct Transforms(Vec<Transform>);

#[derive(Debug)]
enum Transform {
    ValueToKey(ValueToKey),
    ExtractField(ExtractField),
    RegexRouter(RegexRouter),
}

impl Transforms {
    pub fn new(rules: &[TransformRule]) -> Self {
        let transform = |rule: &TransformRule| match rule.clone() {
            TransformRule::ValueToKey {
                fields,
                replace_null_with_default,
            } => Transform::ValueToKey(ValueToKey::new(fields, replace_null_with_default)),
            TransformRule::ExtractField {
                part,
                field,
                replace_null_with_default,
            } => Transform::ExtractField(ExtractField::new(part, field, replace_null_with_default)),
            TransformRule::RegexRouter(router) => Transform::RegexRouter(router),
        };
        Self(rules.iter().map(transform).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn apply(&mut self, record: ConnectRecord) -> Result<ConnectRecord, TransformError> {
        self.0
            .iter_mut()
            .try_fold(record, |record, transform| match transform {
                Transform::ValueToKey(transform) => transform.apply(record),
                Transform::ExtractField(transform) => transform.apply(record),
                Transform::RegexRouter(router) => Ok(router.apply(record)),
            })
    }
}

/// Schemas made of others. Equal inputs give the same output, so that who knows schemas by
/// their address finds them again.
#[derive(Debug, Default)]
pub(crate) struct Derived(HashMap<usize, (Arc<Schema>, Arc<Schema>)>);

impl Derived {
    pub(crate) fn get_or_make<E>(
        &mut self,
        from: &Arc<Schema>,
        make: impl FnOnce(&Schema) -> Result<Schema, E>,
    ) -> Result<Arc<Schema>, E> {
        let address = Arc::as_ptr(from).addr();
        if let Some((_, made)) = self.0.get(&address) {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(make(from)?);
        if self.0.len() >= CACHED_SCHEMAS {
            self.0.clear();
        }
        // The original is kept so that its address stays its own.
        self.0
            .insert(address, (Arc::clone(from), Arc::clone(&made)));
        Ok(made)
    }
}

/// A struct's field, with its default in the place of a null if so wished.
fn field_value(schema: &Schema, values: &[Value], index: usize, replace_null: bool) -> Value {
    let value = values.get(index).cloned().unwrap_or(Value::Null);
    let default = schema
        .fields()
        .get(index)
        .and_then(|field| field.schema.default.as_ref());
    match default {
        Some(default) if replace_null && value.is_null() => default.clone(),
        _ => value,
    }
}

fn map_value(entries: &[(Value, Value)], field: &str) -> Value {
    let found = entries
        .iter()
        .find(|(key, _)| matches!(key, Value::String(key) if key == field));
    found.map_or(Value::Null, |(_, value)| value.clone())
}

/// A value's class as Java names it.
fn class_name(record: Option<&Record>) -> &'static str {
    match record.map(|record| &record.value) {
        None | Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "java.lang.Boolean",
        Some(Value::Int8(_)) => "java.lang.Byte",
        Some(Value::Int16(_)) => "java.lang.Short",
        Some(Value::Int32(_)) => "java.lang.Integer",
        Some(Value::Int64(_)) => "java.lang.Long",
        Some(Value::Float32(_)) => "java.lang.Float",
        Some(Value::Float64(_)) => "java.lang.Double",
        Some(Value::String(_)) => "java.lang.String",
        Some(Value::Bytes(_)) => "java.nio.HeapByteBuffer",
        Some(Value::Decimal(_)) => "java.math.BigDecimal",
        Some(Value::Date(_) | Value::Time(_) | Value::Timestamp(_)) => "java.util.Date",
        Some(Value::Array(_)) => "java.util.ArrayList",
        Some(Value::Map(_)) => "java.util.HashMap",
        Some(Value::Struct(_)) => "org.apache.kafka.connect.data.Struct",
    }
}

#[cfg(test)]
mod tests;
