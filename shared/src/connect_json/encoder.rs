//! Schemas and values as JsonConverter 4.3 writes them, byte for byte.

use std::fmt::Write as _;

use super::bytes::{to_base64, unscaled};
use super::{ConvertError, Logical, Schema, Type, Value};

/// What a converter's settings say about writing.
#[derive(Debug, Clone, Copy)]
pub struct Writing {
    /// `schemas.enable`: the envelope of schema and payload, or the payload alone.
    pub schemas: bool,
    /// `decimal.format=NUMERIC`: decimals as JSON numbers rather than base64.
    pub numeric_decimals: bool,
}

/// Writes values of one schema, whose JSON is made once.
#[derive(Debug, Clone)]
pub struct Encoder {
    writing: Writing,
    /// The envelope up to the payload.
    prefix: String,
}

impl Encoder {
    pub fn new(schema: &Schema, writing: Writing) -> Result<Self, ConvertError> {
        let mut prefix = String::new();
        if writing.schemas {
            prefix.push_str("{\"schema\":");
            write_schema(&mut prefix, schema, None, writing)?;
            prefix.push_str(",\"payload\":");
        }
        Ok(Self { writing, prefix })
    }

    /// `schema` is the one this encoder was made for.
    pub fn encode(&self, schema: &Schema, value: &Value) -> Result<Vec<u8>, ConvertError> {
        let mut json = self.prefix.clone();
        write_value(&mut json, schema, value, self.writing)?;
        if self.writing.schemas {
            json.push('}');
        }
        Ok(json.into_bytes())
    }
}

fn write_schema(
    json: &mut String,
    schema: &Schema,
    field: Option<&str>,
    writing: Writing,
) -> Result<(), ConvertError> {
    let kind = match schema.kind {
        Type::Float32 => "float".to_owned(),
        Type::Float64 => "double".to_owned(),
        ref other => other.name().to_lowercase(),
    };
    push(json, format_args!("{{\"type\":\"{kind}\""));
    match &schema.kind {
        Type::Array(items) => {
            json.push_str(",\"items\":");
            write_schema(json, items, None, writing)?;
        }
        Type::Map { keys, values } => {
            json.push_str(",\"keys\":");
            write_schema(json, keys, None, writing)?;
            json.push_str(",\"values\":");
            write_schema(json, values, None, writing)?;
        }
        Type::Struct(fields) => {
            json.push_str(",\"fields\":[");
            for (index, field) in fields.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                write_schema(json, &field.schema, Some(&field.name), writing)?;
            }
            json.push(']');
        }
        _ => {}
    }
    write_attributes(json, schema, writing)?;
    if let Some(field) = field {
        json.push_str(",\"field\":");
        write_text(json, field);
    }
    json.push('}');
    Ok(())
}

fn write_attributes(
    json: &mut String,
    schema: &Schema,
    writing: Writing,
) -> Result<(), ConvertError> {
    push(json, format_args!(",\"optional\":{}", schema.optional));
    if let Some(name) = &schema.name {
        json.push_str(",\"name\":");
        write_text(json, name);
    }
    if let Some(version) = schema.version {
        push(json, format_args!(",\"version\":{version}"));
    }
    if !schema.parameters.is_empty() {
        json.push_str(",\"parameters\":{");
        for (index, (name, value)) in schema.parameters.iter().enumerate() {
            json.push_str(if index == 0 { "" } else { "," });
            write_text(json, name);
            json.push(':');
            write_text(json, value);
        }
        json.push('}');
    }
    if let Some(default) = &schema.default {
        json.push_str(",\"default\":");
        write_value(json, schema, default, writing)?;
    }
    Ok(())
}

fn write_value(
    json: &mut String,
    schema: &Schema,
    value: &Value,
    writing: Writing,
) -> Result<(), ConvertError> {
    match (value, &schema.kind) {
        (Value::Null, _) if schema.optional => json.push_str("null"),
        (Value::Null, _) => {
            return Err(ConvertError::data(
                "Conversion error: null value for field that is required and has no default value",
            ));
        }
        (Value::Bool(value), _) => push(json, format_args!("{value}")),
        (Value::Int8(value), _) => push(json, format_args!("{value}")),
        (Value::Int16(value), _) => push(json, format_args!("{value}")),
        (Value::Int32(value) | Value::Date(value) | Value::Time(value), _) => {
            push(json, format_args!("{value}"));
        }
        (Value::Int64(value) | Value::Timestamp(value), _) => push(json, format_args!("{value}")),
        (Value::Float32(value), _) => write_float(json, &format!("{value:e}"), value.is_finite()),
        (Value::Float64(value), _) => write_float(json, &format!("{value:e}"), value.is_finite()),
        (Value::String(text), _) => write_text(json, text),
        (Value::Bytes(bytes), _) => push(json, format_args!("\"{}\"", to_base64(bytes))),
        (Value::Decimal(text), _) if writing.numeric_decimals => json.push_str(text),
        (Value::Decimal(text), _) => write_decimal(json, schema, text)?,
        (Value::Struct(values), Type::Struct(fields)) => {
            json.push('{');
            for (index, (field, value)) in fields.iter().zip(values).enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                write_text(json, &field.name);
                json.push(':');
                write_value(json, &field.schema, value, writing)?;
            }
            json.push('}');
        }
        (other, kind) => {
            return Err(ConvertError::data(format!(
                "Couldn't convert {other:?} to JSON of type {}",
                kind.name()
            )));
        }
    }
    Ok(())
}

fn write_decimal(json: &mut String, schema: &Schema, text: &str) -> Result<(), ConvertError> {
    let bytes = match schema.logical {
        Some(Logical::Decimal { scale: Some(scale) }) => unscaled(text, scale),
        _ => None,
    };
    let bytes = bytes.ok_or_else(|| {
        ConvertError::data(format!(
            "{text} has mismatching scale value for given Decimal schema"
        ))
    })?;
    push(json, format_args!("\"{}\"", to_base64(&bytes)));
    Ok(())
}

/// Java's spelling: plain from 0.001 to 10,000,000, else scientific, never without a
/// fraction. `scientific` is Rust's `{:e}`.
fn write_float(json: &mut String, scientific: &str, finite: bool) {
    if !finite {
        let name = match scientific {
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            _ => "NaN",
        };
        return push(json, format_args!("\"{name}\""));
    }
    let (sign, number) = match scientific.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", scientific),
    };
    let (digits, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = digits.replace('.', "");
    json.push_str(sign);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    match exponent {
        -3..=-1 => push(json, format_args!("0.{}{digits}", zeros(-exponent - 1))),
        0..=6 if digits.len() > whole => {
            push(
                json,
                format_args!("{}.{}", &digits[..whole], &digits[whole..]),
            );
        }
        0..=6 => {
            let missing = zeros(exponent + 1 - i32::try_from(digits.len()).unwrap_or(0));
            push(json, format_args!("{digits}{missing}.0"));
        }
        _ => {
            let fraction = if digits.len() > 1 { &digits[1..] } else { "0" };
            push(json, format_args!("{}.{fraction}E{exponent}", &digits[..1]));
        }
    }
}

/// Jackson's escapes: control characters in upper-case hex.
fn write_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\t' => json.push_str("\\t"),
            '\n' => json.push_str("\\n"),
            '\u{c}' => json.push_str("\\f"),
            '\r' => json.push_str("\\r"),
            control if control < ' ' => push(json, format_args!("\\u{:04X}", u32::from(control))),
            other => json.push(other),
        }
    }
    json.push('"');
}

/// Writing to a string cannot fail.
fn push(json: &mut String, arguments: std::fmt::Arguments<'_>) {
    json.write_fmt(arguments).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Field, Rules};
    use super::*;

    const WRITING: Writing = Writing {
        schemas: true,
        numeric_decimals: false,
    };

    #[test]
    fn what_the_converter_wrote_is_written_again_byte_for_byte() {
        let records = [
            r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},{"type":"string","optional":true,"field":"pwd"},{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"created_at"}],"optional":false,"name":"users"},"payload":{"id":1,"name":"test","pwd":"test1234","created_at":1627815857000}}"#,
            r#"{"schema":{"type":"struct","fields":[{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"d"},{"type":"double","optional":false,"field":"f"}],"optional":false,"name":"t"},"payload":{"d":"AJw=","f":1.5}}"#,
            r#"{"schema":{"type":"string","optional":false},"payload":"a\u0001\"\\/ü"}"#,
            r#"{"schema":{"type":"bytes","optional":true},"payload":null}"#,
        ];
        for record in records {
            let mut decoder = Decoder::new(Rules::default());
            let Some(decoded) = decoder.decode(Some(record.as_bytes())).unwrap() else {
                panic!("{record} is no tombstone");
            };
            let schema = decoded.schema.unwrap();
            let encoder = Encoder::new(&schema, WRITING).unwrap();
            let written = encoder.encode(&schema, &decoded.value).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), record);
        }
    }

    #[test]
    fn floats_are_spelt_as_java_spells_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (-12.5, "-12.5"),
            (0.001, "0.001"),
            (0.00015, "1.5E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e300, "1.25E300"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            let mut json = String::new();
            write_value(
                &mut json,
                &Schema::required(Type::Float64),
                &Value::Float64(value),
                WRITING,
            )
            .unwrap();
            assert_eq!(json, text);
        }
    }

    #[test]
    fn a_decimal_that_does_not_fit_its_scale_and_a_missing_value_are_refused() {
        let mut schema = Schema::required(Type::Bytes);
        schema.logical = Some(Logical::Decimal { scale: Some(1) });
        let fields = vec![Field {
            name: "d".to_owned(),
            schema,
        }];
        let schema = Schema::required(Type::Struct(fields));
        let encoder = Encoder::new(&schema, WRITING).unwrap();
        for value in [Value::Decimal("1.25".to_owned()), Value::Null] {
            encoder
                .encode(&schema, &Value::Struct(vec![value]))
                .unwrap_err();
        }
    }
}
