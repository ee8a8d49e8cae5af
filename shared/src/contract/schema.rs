use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// The JSON Schema of a record's value, made of the types that are written.
pub struct ValueSchema {
    pub schema: Value,
    /// What it refers to as `#/components/schemas/<name>`.
    pub parts: Vec<(String, RefOr<Schema>)>,
}

impl ValueSchema {
    pub(super) fn of<T: ToSchema>() -> Self {
        let name = T::name().into_owned();
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        let mut parts = vec![(name, T::schema())];
        T::schemas(&mut parts);
        Self { schema, parts }
    }

    /// Behind the prefix of [`super::envelope::encode`], whose Connect schema is part of every
    /// record.
    pub(super) fn in_envelope<T: ToSchema>(prefix: &str) -> Self {
        let payload = Self::of::<T>();
        let schema = json!({
            "type": "object",
            "required": ["schema", "payload"],
            "properties": {
                "schema": { "const": connect_schema(prefix) },
                "payload": payload.schema,
            },
            "additionalProperties": false,
        });
        Self { schema, ..payload }
    }
}

fn connect_schema(prefix: &str) -> Value {
    let mut envelope: Value = serde_json::from_str(&format!("{prefix}null}}"))
        .unwrap_or_else(|error| unreachable!("a prefix and a payload are JSON: {error}"));
    envelope["schema"].take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Order, Outcome};

    /// Type and nullability, in the words of Connect.
    fn in_connects_words(schema: &Value) -> (&'static str, bool) {
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        let of_a_part = schema.get("$ref").is_some() || schema.get("oneOf").is_some();
        let optional = kinds.contains(&json!("null"))
            || schema["oneOf"]
                .as_array()
                .is_some_and(|schemas| schemas.contains(&json!({ "type": "null" })));
        let kind = match schema["format"].as_str() {
            // Ids and enumerations; every other part is written out.
            _ if of_a_part || kinds.contains(&json!("string")) => "string",
            Some("int32") => "int32",
            Some("int64") => "int64",
            _ => panic!("{schema} is of no type that Connect has"),
        };
        (kind, optional)
    }

    fn fields_of_the_connect_schema(value: &ValueSchema) -> Vec<(String, String, bool)> {
        let fields = &value.schema["properties"]["schema"]["const"]["fields"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let field = |field: &Value| {
            let optional = field["optional"].as_bool().unwrap();
            (text(&field["field"]), text(&field["type"]), optional)
        };
        let mut fields: Vec<_> = fields.as_array().unwrap().iter().map(field).collect();
        fields.sort();
        fields
    }

    fn fields_of_the_payload(value: &ValueSchema) -> Vec<(String, String, bool)> {
        let payload = serde_json::to_value(&value.parts[0].1).unwrap();
        let fields = payload["properties"].as_object().unwrap().iter();
        let mut fields: Vec<_> = fields
            .map(|(name, schema)| {
                let (kind, optional) = in_connects_words(schema);
                (name.clone(), kind.to_owned(), optional)
            })
            .collect();
        fields.sort();
        fields
    }

    #[test]
    fn the_connect_schema_and_the_types_that_are_written_say_the_same() {
        for value in [Order::value_schema(), Outcome::value_schema()] {
            let fields = fields_of_the_connect_schema(&value);
            assert!(!fields.is_empty());
            assert_eq!(fields, fields_of_the_payload(&value));
        }
    }
}
