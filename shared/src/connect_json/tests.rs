//! Rows F1 to F21 of the observed behaviour of Kafka's JsonConverter 4.3.0.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{ConvertError, Decoder, Record, Rules, Value};

const STRICT: Rules = Rules {
    strict: true,
    replace_null_with_default: true,
};
const NOT_AN_ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \
     \"payload\" fields and may not contain additional fields. If you are trying to deserialize \
     plain JSON data, set schemas.enable=false in your converter configuration.";
const NOT_JSON: &str =
    "Converting byte[] to Kafka Connect data failed due to serialization error: ";

fn decode(rules: Rules, bytes: &str) -> Result<Option<Record>, ConvertError> {
    Decoder::new(rules).decode(Some(bytes.as_bytes()))
}

fn enveloped(schema: &str, payload: &str) -> String {
    format!(r#"{{"schema":{schema},"payload":{payload}}}"#)
}

fn value_by(rules: Rules, schema: &str, payload: &str) -> Result<Value, String> {
    let record = decode(rules, &enveloped(schema, payload)).map_err(|e| e.to_string())?;
    Ok(record.unwrap().value)
}

fn value(schema: &str, payload: &str) -> Value {
    value_by(Rules::default(), schema, payload).unwrap()
}

fn error(schema: &str, payload: &str) -> String {
    value_by(Rules::default(), schema, payload).unwrap_err()
}

fn strict(schema: &str, payload: &str) -> Result<Value, String> {
    value_by(STRICT, schema, payload)
}

fn optional(kind: &str) -> String {
    format!(r#"{{"type":"{kind}","optional":true}}"#)
}

fn of_type(kind: &str) -> String {
    format!(r#"{{"type":"{kind}"}}"#)
}

fn logical(kind: &str, name: &str, more: &str) -> String {
    format!(r#"{{"type":"{kind}","name":"org.apache.kafka.connect.data.{name}"{more}}}"#)
}

fn one_field(field: &str) -> String {
    format!(r#"{{"type":"struct","fields":[{field}]}}"#)
}

#[test]
fn f1_no_bytes_are_a_tombstone() {
    assert!(
        Decoder::new(Rules::default())
            .decode(None)
            .unwrap()
            .is_none()
    );
}

#[test]
fn f2_anything_but_the_two_members_is_no_envelope() {
    for bytes in [
        "",
        " ",
        "[1]",
        "1",
        "{}",
        r#"{"id":1}"#,
        r#"{"schema":{"type":"int32"}}"#,
        r#"{"payload":1}"#,
        r#"{"schema":{"type":"int32"},"payload":1,"more":1}"#,
    ] {
        let error = decode(Rules::default(), bytes).unwrap_err();
        assert_eq!(error.to_string(), NOT_AN_ENVELOPE, "{bytes}");
    }
}

#[test]
fn f3_an_envelope_of_two_nulls_is_a_tombstone() {
    assert!(
        decode(Rules::default(), &enveloped("null", "null"))
            .unwrap()
            .is_none()
    );
}

#[test]
fn f4_a_payload_without_a_schema_is_typed_by_its_json() {
    let record = decode(
        Rules::default(),
        &enveloped("null", r#"{"id":1,"x":[1.5,"a",true]}"#),
    );
    let record = record.unwrap().unwrap();
    assert!(record.schema.is_none());
    let list = Value::Array(vec![
        Value::Float64(1.5),
        Value::String("a".into()),
        Value::Bool(true),
    ]);
    let Value::Map(entries) = record.value else {
        panic!("{record:?}")
    };
    assert_eq!(entries[0], (Value::String("id".into()), Value::Int64(1)));
    assert_eq!(entries[1], (Value::String("x".into()), list));
}

#[test]
fn f5_what_is_not_json_is_a_serialization_error() {
    for bytes in [
        "abc",
        "NaN",
        "+12",
        "{",
        r#"{"schema":{"type":"int32"},"payload":+12}"#,
    ] {
        let error = decode(Rules::default(), bytes).unwrap_err();
        assert_eq!(error.to_string(), NOT_JSON, "{bytes}");
    }
    let not_utf8 = Decoder::new(Rules::default()).decode(Some(b"{\"schema\":\"\xff\"}"));
    assert_eq!(not_utf8.unwrap_err().to_string(), NOT_JSON);
}

#[test]
fn f6_integers_wrap_unless_strict() {
    for (kind, json, wrapped) in [
        ("int8", "300", Value::Int8(44)),
        ("int16", "40000", Value::Int16(-25536)),
        ("int32", "3000000000", Value::Int32(-1_294_967_296)),
        ("int64", "9223372036854775808", Value::Int64(i64::MIN)),
        ("int32", "1.5", Value::Int32(1)),
        ("int32", r#""12""#, Value::Int32(0)),
        ("int64", "{}", Value::Int64(0)),
        ("double", r#""12""#, Value::Float64(0.0)),
        ("float", "true", Value::Float32(0.0)),
    ] {
        assert_eq!(value(&of_type(kind), json), wrapped, "{kind} {json}");
        assert!(strict(&of_type(kind), json).is_err(), "{kind} {json}");
    }
    let error = strict(
        &one_field(r#"{"field":"qty","type":"int8"}"#),
        r#"{"qty":300}"#,
    );
    assert_eq!(
        error.unwrap_err(),
        "strict conversion refuses 300 in field \"qty\" as INT8: it would become 44"
    );
    let error = strict(&of_type("int32"), r#""12""#).unwrap_err();
    assert_eq!(
        error,
        "strict conversion refuses STRING as INT32: it would become 0"
    );
}

#[test]
fn f7_numbers_that_fit_pass_the_strict_rules() {
    for (kind, json, same) in [
        ("int8", "-128", Value::Int8(-128)),
        ("int16", "32767", Value::Int16(32_767)),
        ("int32", "12.0", Value::Int32(12)),
        ("int64", "9223372036854775807", Value::Int64(i64::MAX)),
        ("float", "12.34", Value::Float32(12.34)),
        ("double", "12", Value::Float64(12.0)),
    ] {
        assert_eq!(strict(&of_type(kind), json).unwrap(), same, "{kind} {json}");
    }
    assert!(strict(&of_type("double"), "1e999").is_err());
}

#[test]
fn f8_what_is_no_text_becomes_null_in_a_string_field() {
    for json in ["12", "{}"] {
        let field = r#"{"field":"name","type":"string"}"#;
        let payload = format!(r#"{{"name":{json}}}"#);
        assert_eq!(
            error(&one_field(field), &payload),
            "Invalid value: null used for required field: \"name\", schema type: STRING"
        );
        let field = r#"{"field":"name","type":"string","optional":true}"#;
        assert_eq!(
            value(&one_field(field), &payload),
            Value::Struct(vec![Value::Null])
        );
        assert!(
            strict(&one_field(field), &payload)
                .unwrap_err()
                .contains("would become null")
        );
    }
}

#[test]
fn f9_what_is_no_boolean_becomes_false() {
    for json in ["1", r#""true""#] {
        assert_eq!(value(&of_type("boolean"), json), Value::Bool(false));
        assert!(strict(&of_type("boolean"), json).is_err());
    }
    assert_eq!(strict(&of_type("boolean"), "true"), Ok(Value::Bool(true)));
}

#[test]
fn f10_bytes_are_base64() {
    assert_eq!(
        value(&of_type("bytes"), r#""AJw=""#),
        Value::Bytes(vec![0, 0x9c])
    );
    assert_eq!(error(&of_type("bytes"), r#""?""#), "Invalid bytes field");
    assert_eq!(value(&of_type("bytes"), "1"), Value::Null);
    assert!(strict(&of_type("bytes"), "1").is_err());
}

#[test]
fn f11_strings_are_unescaped() {
    let text = value(&of_type("string"), r#""a\"\u00e9\n""#);
    assert_eq!(text, Value::String("a\"é\n".into()));
}

#[test]
fn f12_null_and_missing_follow_optional_and_default() {
    let field = |more: &str| one_field(&format!(r#"{{"field":"n","type":"int64"{more}}}"#));
    for payload in [r#"{"n":null}"#, "{}"] {
        let required = error(&field(""), payload);
        assert_eq!(required, "Invalid null value for required INT64 field");
        let optional = value(&field(r#","optional":true"#), payload);
        assert_eq!(optional, Value::Struct(vec![Value::Null]));
        let default = field(r#","optional":true,"default":100"#);
        assert_eq!(
            value(&default, payload),
            Value::Struct(vec![Value::Int64(100)])
        );
        let keep_null = Rules {
            replace_null_with_default: false,
            ..Rules::default()
        };
        let kept = value_by(keep_null, &default, payload).unwrap();
        assert_eq!(kept, Value::Struct(vec![Value::Null]));
    }
    assert_eq!(
        value(&optional("struct").replace('}', r#","fields":[]}"#), "null"),
        Value::Null
    );
}

#[test]
fn f13_members_are_matched_by_name_and_others_ignored() {
    let schema = one_field(
        r#"{"field":"a","type":"int32"},{"field":"b","type":"int32"},{"field":"c","type":"int32"}"#,
    );
    let all = Value::Struct(vec![Value::Int32(1), Value::Int32(2), Value::Int32(3)]);
    for payload in [
        r#"{"a":1,"b":2,"c":3}"#,
        r#"{"c":3,"x":[{}],"a":1,"b":2}"#,
        r#"{"\u0061":1,"c":3,"b":9,"b":2}"#,
    ] {
        assert_eq!(value(&schema, payload), all, "{payload}");
    }
}

#[test]
fn f14_a_struct_is_an_object() {
    assert_eq!(
        error(&one_field(""), "[1]"),
        "Structs should be encoded as JSON objects, but found ARRAY"
    );
}

#[test]
fn f15_types_are_spelled_as_the_converter_spells_them() {
    assert_eq!(
        error(&of_type("float32"), "1"),
        "Unknown schema type: float32"
    );
    assert_eq!(error(&of_type("INT32"), "1"), "Unknown schema type: INT32");
    for schema in ["{}", r#"{"type":1}"#, r#""int32""#, "[]"] {
        assert_eq!(error(schema, "1"), "Schema must contain 'type' field");
    }
    assert_eq!(
        error(r#"{"type":"struct"}"#, "{}"),
        "Struct schema's \"fields\" argument is not an array."
    );
    assert_eq!(
        error(&one_field(r#"{"type":"int32"}"#), "{}"),
        "Struct schema's field name not specified properly"
    );
}

#[test]
fn f16_decimals_are_exact() {
    let decimal = logical("bytes", "Decimal", r#","parameters":{"scale":"2"}"#);
    for (json, text) in [
        (r#""AJw=""#, "1.56"),
        ("1.56", "1.56"),
        ("1.5", "1.5"),
        ("3", "3"),
        ("1.567", "1.567"),
        ("12345678901234567890.12", "12345678901234567890.12"),
    ] {
        assert_eq!(value(&decimal, json), Value::Decimal(text.into()), "{json}");
    }
    for json in [r#""1.56""#, r#""""#] {
        assert_eq!(error(&decimal, json), "Invalid bytes for Decimal field");
    }
    let no_scale = logical("bytes", "Decimal", "");
    assert_eq!(
        error(&no_scale, r#""AJw=""#),
        "Invalid bytes for Decimal field"
    );
    let numeric_scale = logical("bytes", "Decimal", r#","parameters":{"scale":2}"#);
    assert_eq!(
        error(&numeric_scale, "1"),
        "Schema parameters must have string values."
    );
    assert_eq!(
        error(&decimal, "true"),
        "Invalid type for Decimal, underlying representation should be numeric or bytes but was BOOLEAN"
    );
    assert!(
        strict(&decimal, "1.567")
            .unwrap_err()
            .contains("2 decimal places")
    );
    for fits in ["1.560", "1e3", "156e-2", "1.5E+1"] {
        assert!(strict(&decimal, fits).is_ok(), "{fits}");
    }
}

#[test]
fn f17_dates_are_days() {
    let date = logical("int32", "Date", "");
    assert_eq!(value(&date, "10000"), Value::Date(10_000));
    assert_eq!(value(&date, "-1"), Value::Date(-1));
    let wrong = "Invalid type for Date, underlying representation should be integer but was ";
    assert_eq!(error(&date, r#""2020-01-01""#), format!("{wrong}STRING"));
    assert_eq!(error(&date, "3000000000"), format!("{wrong}NUMBER"));
}

#[test]
fn f18_times_are_milliseconds_of_a_day() {
    let time = logical("int32", "Time", "");
    assert_eq!(value(&time, "73802123"), Value::Time(73_802_123));
    assert_eq!(
        error(&time, "1.5"),
        "Invalid type for Time, underlying representation should be integer but was NUMBER"
    );
    for json in ["-1", "86400001"] {
        assert_eq!(
            error(&time, json),
            "Time values must use number of milliseconds greater than 0 and less than 86400000"
        );
    }
}

#[test]
fn f19_timestamps_are_milliseconds() {
    let timestamp = logical("int64", "Timestamp", r#","version":1"#);
    assert_eq!(
        value(&timestamp, "1474661402123"),
        Value::Timestamp(1_474_661_402_123)
    );
    assert_eq!(
        error(&timestamp, "1.5"),
        "Invalid type for Timestamp, underlying representation should be integral but was NUMBER"
    );
}

#[test]
fn f20_defaults_of_logical_types_are_converted() {
    for (kind, name, more, default) in [
        ("int32", "Date", ",\"default\":11396", Value::Date(11_396)),
        ("int32", "Time", ",\"default\":0", Value::Time(0)),
        (
            "int64",
            "Timestamp",
            ",\"default\":984614400000",
            Value::Timestamp(984_614_400_000),
        ),
        (
            "bytes",
            "Decimal",
            ",\"parameters\":{\"scale\":\"2\"},\"default\":\"AJw=\"",
            Value::Decimal("1.56".into()),
        ),
    ] {
        assert_eq!(value(&logical(kind, name, more), "null"), default);
    }
}

#[test]
fn f21_maps_and_arrays() {
    let strings = r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int32"}}"#;
    let one = Value::Map(vec![(Value::String("a".into()), Value::Int32(1))]);
    assert_eq!(value(strings, r#"{"a":1}"#), one);
    assert_eq!(
        error(strings, "[]"),
        "Maps with string fields should be encoded as JSON objects, but found ARRAY"
    );
    let numbers = strings.replace("string", "int8");
    let two = Value::Map(vec![(Value::Int8(1), Value::Int32(2))]);
    assert_eq!(value(&numbers, "[[1,2]]"), two);
    assert_eq!(
        error(&numbers, "{}"),
        "Maps with non-string fields should be encoded as JSON array of tuples, but found OBJECT"
    );
    assert_eq!(
        error(&numbers, "[1]"),
        "Found invalid map entry instead of array tuple: NUMBER"
    );
    assert_eq!(
        error(&numbers, "[[1]]"),
        "Found invalid map entry, expected length 2 but found :1"
    );
    assert_eq!(
        error(&of_type("map"), "{}"),
        "Map schema did not specify the key type"
    );
    assert_eq!(
        error(&of_type("array"), "[]"),
        "Array schema did not specify the element type"
    );
    let array = r#"{"type":"array","items":{"type":"int32"}}"#;
    assert_eq!(value(array, "[1]"), Value::Array(vec![Value::Int32(1)]));
    assert_eq!(value(array, "1"), Value::Array(Vec::new()));
    assert!(strict(array, "1").is_err());
}

#[test]
fn a_schema_is_parsed_once_for_all_records_that_repeat_it() {
    let mut decoder = Decoder::new(Rules::default());
    let mut schema = |bytes: &str| {
        decoder
            .decode(Some(bytes.as_bytes()))
            .unwrap()
            .unwrap()
            .schema
            .unwrap()
    };
    let first = schema(r#"{"schema":{"type":"int32"},"payload":1}"#);
    let again = schema(r#"{"payload":2,"schema":{"type":"int32"}}"#);
    let other = schema(r#"{"schema":{"type": "int32"},"payload":1}"#);
    assert!(std::sync::Arc::ptr_eq(&first, &again));
    assert!(!std::sync::Arc::ptr_eq(&first, &other));
    assert_eq!(first, other);
}

#[test]
fn schemas_that_never_repeat_do_not_fill_the_memory() {
    let mut decoder = Decoder::new(Rules::default());
    for version in 0..2_500 {
        let bytes = format!(r#"{{"schema":{{"type":"int32","version":{version}}},"payload":1}}"#);
        assert!(decoder.decode(Some(bytes.as_bytes())).is_ok());
    }
    assert!(format!("{decoder:?}").matches("version: Some").count() <= 1_000);
}

#[test]
fn plain_json_has_no_schema() {
    let record = Decoder::schemaless(Rules::default())
        .decode(Some(b"12"))
        .unwrap()
        .unwrap();
    assert!(record.schema.is_none());
    assert_eq!(record.value, Value::Int64(12));
}

#[test]
fn nesting_beyond_reason_is_an_error() {
    let deep = "[".repeat(100_000);
    assert!(decode(Rules::default(), &deep).is_err());
    let schema = "{\"type\":\"array\",\"items\":".repeat(100_000);
    assert!(decode(Rules::default(), &enveloped(&schema, "1")).is_err());
    let balanced = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode(Rules::default(), &enveloped("null", &balanced)).is_err());
}

fn any_schema() -> impl Strategy<Value = String> {
    let kinds = "(u?int8|int16|int32|int64|float|double|boolean|string|bytes)";
    let scale = any::<i32>();
    let decimal = scale.prop_map(|scale| {
        format!(
            r#"{{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{{"scale":"{scale}"}}}}"#
        )
    });
    let logical = select(vec!["Date", "Time", "Timestamp", "Other"]).prop_map(|name| {
        format!(r#"{{"type":"int64","name":"org.apache.kafka.connect.data.{name}"}}"#)
    });
    let plain = (kinds, any::<bool>())
        .prop_map(|(kind, optional)| format!(r#"{{"type":"{kind}","optional":{optional}}}"#));
    prop_oneof![3 => plain, 1 => decimal, 1 => logical].prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| format!(r#"{{"type":"array","items":{items}}}"#)),
            (inner.clone(), inner.clone()).prop_map(|(keys, values)| {
                format!(r#"{{"type":"map","keys":{keys},"values":{values}}}"#)
            }),
            inner.prop_map(|schema| {
                let field = schema.replacen('{', r#"{"field":"a","#, 1);
                format!(r#"{{"type":"struct","fields":[{field}]}}"#)
            }),
        ]
    })
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        "-?[0-9]{1,40}([.][0-9]{1,4})?([eE][-+]?[0-9]{1,6})?",
        r#""[A-Za-z0-9+/=]{0,8}""#,
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|elements| format!("[{}]", elements.join(","))),
            inner.prop_map(|value| format!(r#"{{"a":{value}}}"#)),
        ]
    })
}

proptest! {
    #[test]
    fn any_envelope_is_read_alike_whether_its_schema_is_known_or_not(
        (schema, payload) in (any_schema(), any_json()),
        strict in any::<bool>(),
        (at, byte) in any::<(Index, u8)>(),
    ) {
        let rules = Rules { strict, ..Rules::default() };
        let mut bytes = enveloped(&schema, &payload).into_bytes();
        let read = |decoder: &mut Decoder, bytes: &[u8]| {
            decoder.decode(Some(bytes)).map(|record| record.map(|record| record.value))
        };
        let mut warm = Decoder::new(rules);
        for _ in 0..2 {
            let first = read(&mut Decoder::new(rules), &bytes).map_err(|e| e.to_string());
            for _ in 0..2 {
                let again = read(&mut warm, &bytes).map_err(|e| e.to_string());
                prop_assert_eq!(format!("{:?}", &first), format!("{again:?}"));
            }
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
    }
}

#[test]
fn a_record_is_read_the_same_whatever_was_read_before() {
    let records = [
        r#"{"schema":{"type":"int64"},"payload":1}"#,
        r#"{"schema":{"type":"int64"},"payload":2}"#,
        r#"{"schema":{"type":"int64"},"payload":  3  } behind"#,
        r#"{"schema":{"type":"int64"},"payload":  4  "#,
        r#"{"schema":{"type":"int64"},"payload":"text"}"#,
        r#"{"schema":{"type":"int64"},"payload":5,"more":6}"#,
        r#"{"schema":{"type":"int64"},"payload":7,"schema":{"type":"string"}}"#,
        r#"{"schema":{"type":"int64"},"payload":  [[]],"payload":8}"#,
        r#"{"schema":{"type":"int64"},"payload":tru}"#,
        r#"{"schema":{"type":"string"},"payload":"a"}"#,
        r#"{"payload":9,"schema":{"type":"int64"}}"#,
        r#"{"schema":{"type":"int64","optional":true},"payload":null}"#,
        r#"{"schema":{"type":"int64"},"payload":null}"#,
        r#"{"schema":null,"payload":null}"#,
    ];
    are_read_alone_as_after_each_other(&records.map(str::to_owned));
}

#[test]
fn a_struct_is_read_the_same_whatever_was_read_before() {
    let payloads = [
        r#"{"a":1}}"#,
        r#" {"a":2} } behind"#,
        r#"{"a":3}"#,
        r#"{"a":4}}}"#,
        r#"{"a":5},"more":6}"#,
        r#"{"a":7},"payload":{"a":8}}"#,
        r#"{"b":{"}":"}"},"a":9}}"#,
        r#"{"a":1,"b":"\x"}}"#,
        r#"{"a":1,}}"#,
        r#"{"a":"text"}}"#,
        r#"{}}"#,
        r#"[1]}"#,
        r#"}"#,
    ];
    let schema = one_field(r#"{"type":"int32","field":"a"}"#);
    let record = |payload| format!(r#"{{"schema":{schema},"payload":{payload}"#);
    are_read_alone_as_after_each_other(&payloads.map(record));
}

fn are_read_alone_as_after_each_other(records: &[String]) {
    let describe = |read: Result<Option<Record>, ConvertError>| match read {
        Ok(record) => format!("{record:?}"),
        Err(error) => error.to_string(),
    };
    for first in records {
        let mut decoder = Decoder::new(STRICT);
        decoder.decode(Some(first.as_bytes())).ok();
        for next in records {
            let read = decoder.decode(Some(next.as_bytes()));
            assert_eq!(describe(read), describe(decode(STRICT, next)), "{next}");
        }
    }
}
