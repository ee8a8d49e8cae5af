//! Connect's values as the driver's, where the databases agree.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use shared::connect_json::{Logical, Schema, Type, Value};

/// A value that no column can take. Bad data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    #[error("Unsupported source data type: {0}")]
    Unsupported(&'static str),
    #[error("{0} is out of the range of dates")]
    OutOfRange(i64),
}

pub(super) fn bind(value: &Value) -> Result<sea_orm::Value, BindError> {
    Ok(match value {
        Value::Bool(value) => (*value).into(),
        Value::Int8(value) => (*value).into(),
        Value::Int16(value) => (*value).into(),
        Value::Int32(value) => (*value).into(),
        Value::Int64(value) => (*value).into(),
        Value::Float32(value) => (*value).into(),
        Value::Float64(value) => (*value).into(),
        Value::String(text) | Value::Decimal(text) => text.as_str().into(),
        Value::Bytes(bytes) => bytes.as_slice().into(),
        Value::Date(days) => date(*days)?.into(),
        Value::Time(millis) => time(*millis)?.into(),
        Value::Timestamp(millis) => timestamp(*millis)?.into(),
        Value::Array(_) => return Err(BindError::Unsupported("ARRAY")),
        Value::Map(_) => return Err(BindError::Unsupported("MAP")),
        Value::Struct(_) => return Err(BindError::Unsupported("STRUCT")),
        Value::Null => sea_orm::Value::String(None),
    })
}

/// Any value of the schema's type: PostgreSQL wants a type for a null too.
pub(super) fn sample(schema: &Schema) -> Value {
    if let Some(logical) = schema.logical {
        return match logical {
            Logical::Decimal { .. } => Value::Decimal(String::new()),
            Logical::Date => Value::Date(0),
            Logical::Time => Value::Time(0),
            Logical::Timestamp => Value::Timestamp(0),
        };
    }
    match schema.kind {
        Type::Int8 => Value::Int8(0),
        Type::Int16 => Value::Int16(0),
        Type::Int32 => Value::Int32(0),
        Type::Int64 => Value::Int64(0),
        Type::Float32 => Value::Float32(0.0),
        Type::Float64 => Value::Float64(0.0),
        Type::Boolean => Value::Bool(false),
        Type::Bytes => Value::Bytes(Vec::new()),
        _ => Value::String(String::new()),
    }
}

pub(super) fn date(days: i32) -> Result<NaiveDate, BindError> {
    NaiveDate::default()
        .checked_add_signed(TimeDelta::days(days.into()))
        .ok_or(BindError::OutOfRange(days.into()))
}

pub(super) fn time(millis: i32) -> Result<NaiveTime, BindError> {
    let out_of_range = BindError::OutOfRange(millis.into());
    let millis = u32::try_from(millis).map_err(|_| out_of_range.clone())?;
    NaiveTime::from_num_seconds_from_midnight_opt(millis / 1_000, millis % 1_000 * 1_000_000)
        .ok_or(out_of_range)
}

/// In UTC.
pub(super) fn timestamp(millis: i64) -> Result<NaiveDateTime, BindError> {
    let time = DateTime::from_timestamp_millis(millis).ok_or(BindError::OutOfRange(millis))?;
    Ok(time.naive_utc())
}

/// Literals that every database reads the same way.
pub(super) fn literal(value: &Value) -> Option<String> {
    Some(match value {
        Value::Int8(value) => value.to_string(),
        Value::Int16(value) => value.to_string(),
        Value::Int32(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Float32(value) => value.to_string(),
        Value::Float64(value) => value.to_string(),
        Value::Decimal(text) => text.clone(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Date(days) => date(*days).ok()?.format("'%Y-%m-%d'").to_string(),
        Value::Time(millis) => time(*millis).ok()?.format("'%H:%M:%S%.3f'").to_string(),
        Value::Timestamp(millis) => timestamp(*millis)
            .ok()?
            .format("'%Y-%m-%d %H:%M:%S%.3f'")
            .to_string(),
        _ => return None,
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
