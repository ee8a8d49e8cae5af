use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::{ConvertError, Field, Schema, Type, Value};
use super::scalar::Scalar;
use super::{Node, Rules, convert};

pub(super) fn array(items: &Schema, node: Node<'_>, rules: Rules) -> Result<Value, ConvertError> {
    let elements: Vec<&RawValue> = match node {
        Node::Array(json) => serde_json::from_str(json)?,
        // The JsonConverter iterates over whatever node it is given; a scalar has nothing.
        Node::Object(json) if !rules.strict => {
            entries(json)?.into_iter().map(|(_, value)| value).collect()
        }
        _ if !rules.strict => Vec::new(),
        _ => return Scalar::made_up(Value::Array(Vec::new()), "ARRAY").under(rules, node),
    };
    let convert = |element: &RawValue| convert(items, element.get(), rules);
    elements
        .into_iter()
        .map(convert)
        .collect::<Result<_, _>>()
        .map(Value::Array)
}

pub(super) fn map(
    keys: &Schema,
    values: &Schema,
    node: Node<'_>,
    rules: Rules,
) -> Result<Value, ConvertError> {
    let found = node.type_name();
    if keys.kind == Type::String {
        let Node::Object(json) = node else {
            return Err(ConvertError::data(format!(
                "Maps with string fields should be encoded as JSON objects, but found {found}"
            )));
        };
        let entry = |(key, value): (String, &RawValue)| {
            Ok((Value::String(key), convert(values, value.get(), rules)?))
        };
        return entries(json)?
            .into_iter()
            .map(entry)
            .collect::<Result<_, _>>()
            .map(Value::Map);
    }
    let Node::Array(json) = node else {
        return Err(ConvertError::data(format!(
            "Maps with non-string fields should be encoded as JSON array of tuples, but found {found}"
        )));
    };
    let pairs: Vec<&RawValue> = serde_json::from_str(json)?;
    let pair = |json: &RawValue| {
        let (key, value) = tuple(json.get())?;
        Ok((
            convert(keys, key.get(), rules)?,
            convert(values, value.get(), rules)?,
        ))
    };
    pairs
        .into_iter()
        .map(pair)
        .collect::<Result<_, _>>()
        .map(Value::Map)
}

fn tuple(json: &str) -> Result<(&RawValue, &RawValue), ConvertError> {
    let node = Node::of(json);
    let Node::Array(_) = node else {
        let found = node.type_name();
        return Err(ConvertError::data(format!(
            "Found invalid map entry instead of array tuple: {found}"
        )));
    };
    let elements: Vec<&RawValue> = serde_json::from_str(json)?;
    match elements[..] {
        [key, value] => Ok((key, value)),
        _ => Err(ConvertError::data(format!(
            "Found invalid map entry, expected length 2 but found :{}",
            elements.len()
        ))),
    }
}

pub(super) fn structure(
    fields: &[Field],
    node: Node<'_>,
    rules: Rules,
) -> Result<Value, ConvertError> {
    let Node::Object(json) = node else {
        let found = node.type_name();
        return Err(ConvertError::data(format!(
            "Structs should be encoded as JSON objects, but found {found}"
        )));
    };
    let mut json = serde_json::Deserializer::from_str(json);
    let slots = json.deserialize_map(Slots { fields })?;
    json.end()?;
    let mut values = Vec::with_capacity(fields.len());
    for (field, slot) in fields.iter().zip(slots) {
        let json = slot.map_or("null", RawValue::get);
        let value = convert(&field.schema, json, rules).map_err(|e| e.in_field(&field.name))?;
        if value.is_null() && !field.schema.optional {
            return Err(ConvertError::data(format!(
                "Invalid value: null used for required field: \"{}\", schema type: {}",
                field.name,
                field.schema.kind.name()
            )));
        }
        values.push(value);
    }
    Ok(Value::Struct(values))
}

/// Sorts the members of an object by the fields of a struct; others are ignored.
struct Slots<'s> {
    fields: &'s [Field],
}

impl<'de> Visitor<'de> for Slots<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut slots = vec![None; self.fields.len()];
        let mut expected = 0;
        while let Some(index) = members.next_key_seed(FieldIndex {
            fields: self.fields,
            expected,
        })? {
            let value = members.next_value()?;
            if let Some(slot) = slots.get_mut(index) {
                *slot = Some(value);
                expected = index + 1;
            }
        }
        Ok(slots)
    }
}

/// The index of the field that a key names, or the number of fields. Members usually come
/// in the order of the fields, so the expected one is looked at first.
struct FieldIndex<'s> {
    fields: &'s [Field],
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for FieldIndex<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldIndex<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, key: &str) -> Result<usize, E> {
        if self
            .fields
            .get(self.expected)
            .is_some_and(|field| field.name == key)
        {
            return Ok(self.expected);
        }
        let found = self.fields.iter().position(|field| field.name == key);
        Ok(found.unwrap_or(self.fields.len()))
    }
}

fn entries(json: &str) -> Result<Vec<(String, &RawValue)>, ConvertError> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = members.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    Ok(serde_json::Deserializer::from_str(json).deserialize_map(Entries)?)
}
