use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::message::OwnedHeaders;
use shared::connect_json::{ConvertError, Encoder, Field, Record, Schema, Type, Value, Writing};
use shared::kafka::OutRecord;

use super::column::Column;
use crate::config::{Converter, SourceConfig};
use crate::transforms::{ConnectRecord, TransformError, Transforms};

/// A topic that never repeats a schema gains nothing by keeping more.
const CACHED_ENCODERS: usize = 1_000;

/// Why a row cannot become a record. Bad data.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error(transparent)]
    Transform(#[from] TransformError),
    #[error(transparent)]
    Convert(#[from] ConvertError),
    #[error("StringConverter cannot write {0}")]
    NotText(&'static str),
}

/// The schema of records with these columns. That of a table's has the table's name.
pub(super) fn record_schema(table: Option<&str>, columns: &[Column]) -> Arc<Schema> {
    let field = |column: &Column| Field {
        name: column.name.clone(),
        schema: column.schema(),
    };
    let mut schema = Schema::required(Type::Struct(columns.iter().map(field).collect()));
    schema.name = table.map(str::to_owned);
    Arc::new(schema)
}

/// Turns rows into Kafka's records.
pub(super) struct RecordMaker {
    transforms: Transforms,
    key: Encoding,
    value: Encoding,
}

impl RecordMaker {
    pub(super) fn new(config: &SourceConfig) -> Self {
        Self {
            transforms: Transforms::new(&config.transforms),
            key: Encoding::new(config.key_converter),
            value: Encoding::new(config.value_converter),
        }
    }

    pub(super) fn make(
        &mut self,
        topic: &str,
        schema: &Arc<Schema>,
        row: Vec<Value>,
    ) -> Result<OutRecord, RecordError> {
        let record = self.transforms.apply(ConnectRecord {
            topic: topic.to_owned(),
            key: None,
            value: Some(Record {
                schema: Some(Arc::clone(schema)),
                value: Value::Struct(row),
            }),
        })?;
        Ok(OutRecord {
            topic: record.topic,
            partition: None,
            key: self.key.encode(record.key)?,
            payload: self.value.encode(record.value)?,
            timestamp: None,
            headers: OwnedHeaders::new(),
        })
    }
}

enum Encoding {
    Text,
    Json {
        writing: Writing,
        /// By the schema's address, which is its own for as long as it is kept.
        encoders: HashMap<usize, (Arc<Schema>, Encoder)>,
    },
}

impl Encoding {
    fn new(converter: Converter) -> Self {
        match converter {
            Converter::String => Self::Text,
            Converter::Json {
                schemas,
                numeric_decimals,
                ..
            } => Self::Json {
                writing: Writing {
                    schemas,
                    numeric_decimals,
                },
                encoders: HashMap::new(),
            },
        }
    }

    fn encode(&mut self, record: Option<Record>) -> Result<Option<Vec<u8>>, RecordError> {
        let Some(Record {
            schema: Some(schema),
            value,
        }) = record
        else {
            return Ok(None);
        };
        match self {
            Self::Text => Ok(java_text(&schema, &value)?.map(String::into_bytes)),
            Self::Json { writing, encoders } => {
                let address = Arc::as_ptr(&schema).addr();
                if !encoders.contains_key(&address) {
                    if encoders.len() >= CACHED_ENCODERS {
                        encoders.clear();
                    }
                    let encoder = Encoder::new(&schema, *writing)?;
                    encoders.insert(address, (Arc::clone(&schema), encoder));
                }
                let Some((_, encoder)) = encoders.get(&address) else {
                    return Ok(None);
                };
                Ok(Some(encoder.encode(&schema, &value)?))
            }
        }
    }
}

/// What Java's `toString` makes of a value.
fn java_text(schema: &Schema, value: &Value) -> Result<Option<String>, RecordError> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::String(text) | Value::Decimal(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Int8(value) => value.to_string(),
        Value::Int16(value) => value.to_string(),
        Value::Int32(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Float32(_) | Value::Float64(_) => {
            let writing = Writing {
                schemas: false,
                numeric_decimals: true,
            };
            let json = Encoder::new(schema, writing)?.encode(schema, value)?;
            String::from_utf8_lossy(&json).trim_matches('"').to_owned()
        }
        Value::Struct(values) => {
            let mut parts = Vec::new();
            for (field, value) in schema.fields().iter().zip(values) {
                let text = java_text(&field.schema, value)?;
                parts.extend(text.map(|text| format!("{}={text}", field.name)));
            }
            format!("Struct{{{}}}", parts.join(","))
        }
        Value::Bytes(_) => return Err(RecordError::NotText("bytes")),
        Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
            return Err(RecordError::NotText("dates and times"));
        }
        Value::Array(_) | Value::Map(_) => return Err(RecordError::NotText("arrays and maps")),
    }))
}
