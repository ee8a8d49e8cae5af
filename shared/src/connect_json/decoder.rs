use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload::{self, Rules};
use super::{ConvertError, Schema, Value};

/// As JsonConverter's `schemas.cache.size`.
const CACHED_SCHEMAS: usize = 1_000;

/// A converted record. Its value is [`Value::Null`] only under an optional schema.
#[derive(Debug, Clone)]
pub struct Record {
    /// `None` where the envelope says `"schema":null`, or where there is no envelope.
    pub schema: Option<Arc<Schema>>,
    pub value: Value,
}

/// Reads records. A topic repeats its schema in every record, so a schema is parsed once
/// and recognised by its bytes from then on; where the last record had it as well, by a
/// comparison alone.
#[derive(Debug)]
pub struct Decoder {
    rules: Rules,
    enveloped: bool,
    schemas: HashMap<Box<str>, Arc<Schema>>,
    last: Option<Beginning>,
}

/// An envelope up to its payload, as a topic has it in one record after the other.
#[derive(Debug)]
struct Beginning {
    bytes: Box<[u8]>,
    schema: Arc<Schema>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Decoder {
    /// For `schemas.enable=true`.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            enveloped: true,
            schemas: HashMap::new(),
            last: None,
        }
    }

    /// For `schemas.enable=false`: plain JSON, whose values have no schema.
    pub fn schemaless(rules: Rules) -> Self {
        Self {
            enveloped: false,
            ..Self::new(rules)
        }
    }

    /// `None` for a tombstone: no bytes, or an envelope of two nulls.
    pub fn decode(&mut self, bytes: Option<&[u8]>) -> Result<Option<Record>, ConvertError> {
        let Some(bytes) = bytes else { return Ok(None) };
        if !self.enveloped {
            let json: &RawValue = first_value(bytes)?;
            return schemaless_record(json.get());
        }
        if let Some(record) = self.like_the_last(bytes) {
            return Ok(Some(record));
        }
        let envelope = envelope(bytes)?;
        if envelope.schema.get() == "null" {
            return schemaless_record(envelope.payload.get());
        }
        let schema = self.schema(envelope.schema.get())?;
        self.last = beginning(bytes, &envelope, &schema);
        let value = payload::convert(&schema, envelope.payload.get(), self.rules)?;
        Ok(Some(Record {
            schema: Some(schema),
            value,
        }))
    }

    /// A record whose envelope begins like the last one and ends with its payload. `None` also
    /// where that cannot be converted: a look at the whole envelope says why.
    fn like_the_last(&self, bytes: &[u8]) -> Option<Record> {
        let last = self.last.as_ref()?;
        let rest = bytes.strip_prefix(&*last.bytes)?;
        let json = rest.trim_ascii_end().strip_suffix(b"}")?;
        let value = payload::read(&last.schema, std::str::from_utf8(json).ok()?, self.rules);
        Some(Record {
            schema: Some(Arc::clone(&last.schema)),
            value: value.ok()?,
        })
    }

    fn schema(&mut self, json: &str) -> Result<Arc<Schema>, ConvertError> {
        if let Some(schema) = self.schemas.get(json) {
            return Ok(Arc::clone(schema));
        }
        let schema = Arc::new(Schema::parse(json, self.rules)?);
        if self.schemas.len() >= CACHED_SCHEMAS {
            // A producer that writes a new schema into every record gains nothing by a
            // better eviction.
            self.schemas.clear();
        }
        self.schemas.insert(json.into(), Arc::clone(&schema));
        Ok(schema)
    }
}

/// None where the payload comes first.
fn beginning(bytes: &[u8], envelope: &Envelope<'_>, schema: &Arc<Schema>) -> Option<Beginning> {
    let payload = offset(envelope.payload.get(), bytes);
    (offset(envelope.schema.get(), bytes) < payload).then(|| Beginning {
        bytes: bytes[..payload].into(),
        schema: Arc::clone(schema),
    })
}

/// Where a part of a whole begins.
fn offset(part: &str, whole: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

fn schemaless_record(json: &str) -> Result<Option<Record>, ConvertError> {
    let value = payload::schemaless(&serde_json::from_str(json)?);
    Ok((!value.is_null()).then_some(Record {
        schema: None,
        value,
    }))
}

fn envelope(bytes: &[u8]) -> Result<Envelope<'_>, ConvertError> {
    first_value(bytes).or_else(|_| {
        if bytes.trim_ascii().is_empty() {
            return Err(ConvertError::NotAnEnvelope);
        }
        // Either not JSON at all, or JSON of another shape.
        first_value::<&RawValue>(bytes)?;
        Err(ConvertError::NotAnEnvelope)
    })
}

/// Ignores what follows the first JSON value, as Jackson's `readTree` does.
fn first_value<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    T::deserialize(&mut serde_json::Deserializer::from_slice(bytes))
}
