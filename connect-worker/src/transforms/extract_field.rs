use std::sync::Arc;

use shared::connect_json::{Record, Schema, Value};

use super::{
    ConnectRecord, Derived, EXTRACT_FIELD_OF_KEY, EXTRACT_FIELD_OF_VALUE, Part, TransformError,
    class_name, field_value, map_value,
};

#[derive(Debug)]
pub(super) struct ExtractField {
    part: Part,
    field: String,
    replace_null: bool,
    schemas: Derived,
}

impl ExtractField {
    pub(super) fn new(part: Part, field: String, replace_null: bool) -> Self {
        Self {
            part,
            field,
            replace_null,
            schemas: Derived::default(),
        }
    }

    pub(super) fn apply(
        &mut self,
        mut record: ConnectRecord,
    ) -> Result<ConnectRecord, TransformError> {
        match self.part {
            Part::Key => record.key = self.extract(record.key)?,
            Part::Value => record.value = self.extract(record.value)?,
        }
        Ok(record)
    }

    fn extract(&mut self, record: Option<Record>) -> Result<Option<Record>, TransformError> {
        let extracted = match record {
            None => return Ok(None),
            Some(Record {
                schema: Some(schema),
                value,
            }) => self.of_struct(&schema, value)?,
            Some(Record {
                schema: None,
                value: Value::Map(entries),
            }) => Record {
                schema: None,
                value: map_value(&entries, &self.field),
            },
            Some(other) => {
                return Err(self.wrong_type("Map objects supported in absence of schema", &other));
            }
        };
        let is_nothing = extracted.schema.is_none() && extracted.value.is_null();
        Ok((!is_nothing).then_some(extracted))
    }

    fn of_struct(&mut self, schema: &Arc<Schema>, value: Value) -> Result<Record, TransformError> {
        let values = match value {
            Value::Struct(values) => Some(values),
            Value::Null => None,
            value => {
                let schema = Some(Arc::clone(schema));
                let other = Record { schema, value };
                return Err(self.wrong_type("Struct objects supported", &other));
            }
        };
        let mut fields = schema.fields().iter();
        let Some(index) = fields.position(|field| field.name == self.field) else {
            return Err(self.error(format!("Unknown field: {}", self.field)));
        };
        let extracted = |from: &Schema| Ok(from.fields()[index].schema.clone());
        let made: Result<_, TransformError> = self.schemas.get_or_make(schema, extracted);
        Ok(Record {
            schema: Some(made?),
            value: values.map_or(Value::Null, |values| {
                field_value(schema, &values, index, self.replace_null)
            }),
        })
    }

    fn wrong_type(&self, due: &str, found: &Record) -> TransformError {
        self.error(format!(
            "Only {due} for [field extraction], found: {}",
            class_name(Some(found))
        ))
    }

    fn error(&self, message: String) -> TransformError {
        let class = match self.part {
            Part::Key => EXTRACT_FIELD_OF_KEY,
            Part::Value => EXTRACT_FIELD_OF_VALUE,
        };
        TransformError { class, message }
    }
}
