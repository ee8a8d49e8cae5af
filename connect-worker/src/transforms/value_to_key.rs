use std::sync::Arc;

use shared::connect_json::{Record, Schema, Type, Value};

use super::{
    ConnectRecord, Derived, TransformError, VALUE_TO_KEY, class_name, field_value, map_value,
};

#[derive(Debug)]
pub(super) struct ValueToKey {
    fields: Vec<String>,
    replace_null: bool,
    schemas: Derived,
}

impl ValueToKey {
    pub(super) fn new(fields: Vec<String>, replace_null: bool) -> Self {
        Self {
            fields,
            replace_null,
            schemas: Derived::default(),
        }
    }

    pub(super) fn apply(&mut self, record: ConnectRecord) -> Result<ConnectRecord, TransformError> {
        let key = match &record.value {
            Some(Record {
                schema: Some(schema),
                value: Value::Struct(values),
            }) => self.of_struct(schema, values)?,
            Some(Record {
                schema: None,
                value: Value::Map(entries),
            }) => self.of_map(entries),
            other => return Err(wrong_type(other.as_ref())),
        };
        Ok(ConnectRecord {
            key: Some(key),
            ..record
        })
    }

    fn of_struct(
        &mut self,
        schema: &Arc<Schema>,
        values: &[Value],
    ) -> Result<Record, TransformError> {
        let key_schema = self
            .schemas
            .get_or_make(schema, |value| key_schema(value, &self.fields))?;
        let key = |name: &String| {
            let index = schema.fields().iter().position(|field| field.name == *name);
            index.map_or(Value::Null, |index| {
                field_value(schema, values, index, self.replace_null)
            })
        };
        Ok(Record {
            schema: Some(key_schema),
            value: Value::Struct(self.fields.iter().map(key).collect()),
        })
    }

    fn of_map(&self, entries: &[(Value, Value)]) -> Record {
        let key = |name: &String| (Value::String(name.clone()), map_value(entries, name));
        Record {
            schema: None,
            value: Value::Map(self.fields.iter().map(key).collect()),
        }
    }
}

fn key_schema(value: &Schema, names: &[String]) -> Result<Schema, TransformError> {
    let field = |name: &String| {
        let found = value.fields().iter().find(|field| field.name == *name);
        found
            .cloned()
            .ok_or_else(|| error(format!("Field does not exist: {name}")))
    };
    let fields = names.iter().map(field).collect::<Result<_, _>>()?;
    Ok(Schema::required(Type::Struct(fields)))
}

fn wrong_type(record: Option<&Record>) -> TransformError {
    let due = match record {
        Some(Record {
            schema: Some(_), ..
        }) => "Struct objects supported",
        _ => "Map objects supported in absence of schema",
    };
    error(format!(
        "Only {due} for [copying fields from value to key], found: {}",
        class_name(record)
    ))
}

fn error(message: String) -> TransformError {
    TransformError {
        class: VALUE_TO_KEY,
        message,
    }
}
