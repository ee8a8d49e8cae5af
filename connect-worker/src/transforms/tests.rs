use shared::connect_json::{Decoder, Rules};

use super::*;

fn decode(json: &str) -> Option<Record> {
    Decoder::new(Rules {
        strict: false,
        replace_null_with_default: false,
    })
    .decode(Some(json.as_bytes()))
    .unwrap()
}

fn record(value: &str) -> ConnectRecord {
    ConnectRecord {
        topic: "db.orders".to_owned(),
        key: None,
        value: decode(value),
    }
}

const ORDER: &str = r#"{"schema":{"type":"struct","fields":[
    {"type":"int64","field":"id"},
    {"type":"string","optional":true,"default":"none","field":"note"}]},
    "payload":{"id":7,"note":null}}"#;

fn value_to_key(fields: &[&str], replace_null_with_default: bool) -> TransformRule {
    TransformRule::ValueToKey {
        fields: fields.iter().map(|&field| field.to_owned()).collect(),
        replace_null_with_default,
    }
}

fn extract(part: Part, field: &str) -> TransformRule {
    TransformRule::ExtractField {
        part,
        field: field.to_owned(),
        replace_null_with_default: true,
    }
}

fn router(regex: &str, replacement: &str) -> Result<RegexRouter, RouterError> {
    RegexRouter::new(regex, replacement)
}

#[test]
fn fields_of_the_value_become_the_key_and_one_of_them_the_whole_key() {
    let mut transforms = Transforms::new(&[
        value_to_key(&["note", "id"], true),
        extract(Part::Key, "id"),
    ]);
    let order = record(ORDER);
    let first = transforms.apply(order.clone()).unwrap().key.unwrap();
    assert_eq!(first.value, Value::Int64(7));
    let again = transforms.apply(order).unwrap().key.unwrap();
    assert!(Arc::ptr_eq(&first.schema.unwrap(), &again.schema.unwrap()));
}

#[test]
fn a_null_becomes_its_default_only_if_so_wished() {
    let note = |replace| {
        let mut transforms = Transforms::new(&[value_to_key(&["note"], replace)]);
        transforms.apply(record(ORDER)).unwrap().key.unwrap().value
    };
    let text = Value::String("none".to_owned());
    assert_eq!(note(true), Value::Struct(vec![text]));
    assert_eq!(note(false), Value::Struct(vec![Value::Null]));
}

#[test]
fn values_without_a_schema_are_maps() {
    let plain = r#"{"schema":null,"payload":{"id":7}}"#;
    let mut transforms = Transforms::new(&[
        value_to_key(&["id", "none"], true),
        extract(Part::Value, "id"),
    ]);
    let made = transforms.apply(record(plain)).unwrap();
    let entry = |name: &str, value| (Value::String(name.to_owned()), value);
    let key = Value::Map(vec![
        entry("id", Value::Int64(7)),
        entry("none", Value::Null),
    ]);
    assert_eq!(made.key.unwrap().value, key);
    assert_eq!(made.value.unwrap().value, Value::Int64(7));
}

#[test]
fn what_cannot_be_transformed_is_told_as_kafka_tells_it() {
    let number = r#"{"schema":{"type":"int32"},"payload":1}"#;
    let tombstone = r#"{"schema":null,"payload":null}"#;
    for (rule, value, message) in [
        (
            value_to_key(&["id"], true),
            tombstone,
            "Only Map objects supported in absence of schema for [copying fields from value to key], found: null",
        ),
        (
            value_to_key(&["id"], true),
            number,
            "Only Struct objects supported for [copying fields from value to key], found: java.lang.Integer",
        ),
        (value_to_key(&["x"], true), ORDER, "Field does not exist: x"),
        (extract(Part::Value, "x"), ORDER, "Unknown field: x"),
        (
            extract(Part::Value, "x"),
            number,
            "Only Struct objects supported for [field extraction], found: java.lang.Integer",
        ),
    ] {
        let error = Transforms::new(&[rule]).apply(record(value)).unwrap_err();
        assert_eq!(error.message, message);
    }
    let mut transforms = Transforms::new(&[extract(Part::Value, "x")]);
    assert!(transforms.apply(record(tombstone)).unwrap().value.is_none());
}

#[test]
fn a_topic_is_renamed_if_the_regex_matches_all_of_it() {
    for (regex, replacement, topic) in [
        (r"db\.(.*)", "t_$1", "t_orders"),
        (r"(?<db>\w+)\.(?<table>\w+)", "${table}-${db}", "orders-db"),
        ("(.*)", "$10", "db.orders0"),
        ("(.*)", r"a\$b", "a$b"),
        ("orders", "x", "db.orders"),
        ("(.*)", "$1_$1", "db.orders_db.orders"),
    ] {
        let rule = TransformRule::RegexRouter(router(regex, replacement).unwrap());
        let made = Transforms::new(&[rule]).apply(record(ORDER)).unwrap();
        assert_eq!(made.topic, topic, "{regex} {replacement}");
    }
}

#[test]
fn a_router_that_cannot_work_is_refused() {
    assert!(matches!(router("(", "x"), Err(RouterError::Regex(_))));
    assert!(matches!(router("a)(b", "x"), Err(RouterError::Regex(_))));
    assert!(matches!(router("(?=a)", "x"), Err(RouterError::Regex(_))));
    let none = |name: &str| Err(RouterError::NoGroup(name.to_owned()));
    assert_eq!(router("a", "$1").map(drop), none("1"));
    assert_eq!(router("a", "${x}").map(drop), none("x"));
    for replacement in ["$", "a\\", "$x", "${x"] {
        assert_eq!(
            router("a", replacement).map(drop),
            Err(RouterError::Replacement)
        );
    }
}
