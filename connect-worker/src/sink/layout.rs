use shared::connect_json::{Field, Logical, Schema, Type, Value};

use super::record::Place;
use crate::config::{KeyMode, TableRules};

/// The columns of a row, worked out once per pair of key and value schema.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) columns: Vec<Column>,
    /// Columns whose default takes the place of a null.
    defaults: Vec<usize>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) schema: Schema,
    pub(super) is_key: bool,
    source: Source,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A field of the value.
    Value(usize),
    /// A field of the key.
    Key(usize),
    WholeKey,
    Topic,
    Partition,
    Offset,
}

/// Why no row can be made of records with these schemas. Bad data.
pub(super) type LayoutError = String;

impl Layout {
    /// Columns in the order that Confluent's sink creates them in: Kafka's coordinates, the
    /// value's fields in their order, then what only the key has, by name.
    pub(super) fn of_row(
        rules: &TableRules,
        place: &Place<'_>,
        key: Option<&Schema>,
        value: &Schema,
    ) -> Result<Self, LayoutError> {
        let mut columns = match rules.key {
            KeyMode::Kafka => coordinates(rules)?,
            _ => Vec::new(),
        };
        let value_keys = match rules.key {
            KeyMode::RecordValue => value_keys(rules, place, value)?,
            _ => Vec::new(),
        };
        let mut key_columns = match rules.key {
            KeyMode::RecordKey => record_key(rules, place, key)?,
            _ => Vec::new(),
        };
        for (index, field) in value.fields().iter().enumerate() {
            let is_key = value_keys.contains(&field.name.as_str());
            let from_key = key_columns
                .iter()
                .position(|column| column.name == field.name);
            if let Some(position) = from_key {
                columns.push(key_columns.remove(position));
            } else if is_key || rules.fields.allows(place.topic, &field.name) {
                columns.push(Column {
                    name: field.name.clone(),
                    schema: column_schema(rules, field),
                    is_key,
                    source: Source::Value(index),
                });
            }
        }
        key_columns.sort_by(|a, b| a.name.cmp(&b.name));
        columns.append(&mut key_columns);
        if columns.is_empty() {
            let topic = place.topic;
            return Err(format!(
                "No fields found using key and value schemas for table: {topic}"
            ));
        }
        if let Some(column) = columns.iter().find(|column| is_debezium_time(column))
            && rules.refuse_debezium_times
        {
            return Err(format!(
                "field '{}' is of type {}, which connect-worker does not know: set \
                 time.precision.mode=connect at the source",
                column.name,
                column.schema.name.as_deref().unwrap_or_default()
            ));
        }
        Ok(Self::new(rules, columns))
    }

    fn new(rules: &TableRules, columns: Vec<Column>) -> Self {
        let defaults = columns.iter().enumerate().filter(|(_, column)| {
            rules.replace_null_with_default && column.schema.default.is_some()
        });
        let defaults = defaults.map(|(index, _)| index).collect();
        Self { columns, defaults }
    }

    /// The key columns alone, by name, for a delete.
    pub(super) fn of_key(
        rules: &TableRules,
        place: &Place<'_>,
        key: Option<&Schema>,
    ) -> Result<Self, LayoutError> {
        let mut columns = record_key(rules, place, key)?;
        columns.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self::new(rules, columns))
    }

    pub(super) fn has_key(&self) -> bool {
        self.columns.iter().any(|column| column.is_key)
    }

    /// A row's values in the order of the columns.
    pub(super) fn values(&self, place: &Place<'_>, key: Value, value: Value) -> Vec<Value> {
        let mut values = self.given(place, key, value);
        for &index in &self.defaults {
            if let (Value::Null, Some(default)) =
                (&values[index], &self.columns[index].schema.default)
            {
                values[index] = default.clone();
            }
        }
        values
    }

    fn given(&self, place: &Place<'_>, key: Value, value: Value) -> Vec<Value> {
        let Value::Struct(mut fields) = value else {
            return self.key_values(place, key);
        };
        let in_order = |(index, column): (usize, &Column)| column.source == Source::Value(index);
        if fields.len() == self.columns.len() && self.columns.iter().enumerate().all(in_order) {
            return fields;
        }
        self.pick(place, key, &mut fields)
    }

    fn key_values(&self, place: &Place<'_>, key: Value) -> Vec<Value> {
        self.pick(place, key, &mut [])
    }

    fn pick(&self, place: &Place<'_>, key: Value, fields: &mut [Value]) -> Vec<Value> {
        let mut take = |index: usize| {
            fields
                .get_mut(index)
                .map_or(Value::Null, |field| std::mem::replace(field, Value::Null))
        };
        let value = |column: &Column| match column.source {
            Source::Value(index) => take(index),
            Source::Key(index) => match &key {
                Value::Struct(fields) => fields.get(index).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            },
            Source::WholeKey => key.clone(),
            Source::Topic => Value::String(place.topic.to_owned()),
            Source::Partition => Value::Int32(place.partition),
            Source::Offset => Value::Int64(place.offset),
        };
        self.columns.iter().map(value).collect()
    }
}

/// What `timestamp.fields.list` names is a point in time. Its values stay numbers or text
/// until they are bound.
fn column_schema(rules: &TableRules, field: &Field) -> Schema {
    let schema = &field.schema;
    let is_raw = schema.logical.is_none() && matches!(schema.kind, Type::Int64 | Type::String);
    if !is_raw || !rules.timestamps.names.contains(&field.name) {
        return schema.clone();
    }
    Schema {
        kind: Type::String,
        logical: Some(Logical::Timestamp),
        // A literal of another type.
        default: None,
        ..schema.clone()
    }
}

/// A number that counts days or fractions of a second.
fn is_debezium_time(column: &Column) -> bool {
    let name = column.schema.name.as_deref().unwrap_or_default();
    let is_number = matches!(column.schema.kind, Type::Int32 | Type::Int64);
    is_number && name.starts_with("io.debezium.time.")
}

fn coordinates(rules: &TableRules) -> Result<Vec<Column>, LayoutError> {
    const DEFAULT: [&str; 3] = ["__connect_topic", "__connect_partition", "__connect_offset"];
    let given: Vec<_> = rules.key_fields.iter().map(String::as_str).collect();
    let names = match given[..] {
        [] => DEFAULT,
        [topic, partition, offset] => [topic, partition, offset],
        _ => {
            return Err(format!(
                "Primary key mode KAFKA needs the names of three columns or none, not [{}]",
                given.join(", ")
            ));
        }
    };
    let parts = [
        (Type::String, Source::Topic),
        (Type::Int32, Source::Partition),
        (Type::Int64, Source::Offset),
    ];
    let column = |(name, (kind, source)): (&str, (Type, Source))| Column {
        name: name.to_owned(),
        schema: Schema::required(kind),
        is_key: true,
        source,
    };
    Ok(names.into_iter().zip(parts).map(column).collect())
}

/// The names of the value's key fields; all of them where none is configured.
fn value_keys<'v>(
    rules: &TableRules,
    place: &Place<'_>,
    value: &'v Schema,
) -> Result<Vec<&'v str>, LayoutError> {
    let fields = value.fields().iter().map(|field| field.name.as_str());
    if rules.key_fields.is_empty() {
        return Ok(fields.collect());
    }
    let fields: Vec<_> = fields.collect();
    let find = |name: &String| {
        let found = fields.iter().copied().find(|field| field == name);
        found.ok_or_else(|| missing(rules, place, "RECORD_VALUE", "record value", name))
    };
    rules.key_fields.iter().map(find).collect()
}

fn record_key(
    rules: &TableRules,
    place: &Place<'_>,
    key: Option<&Schema>,
) -> Result<Vec<Column>, LayoutError> {
    let topic = place.topic;
    let Some(key) = key else {
        return Err(format!(
            "PK mode for table '{topic}' is RECORD_KEY, but record key schema is missing"
        ));
    };
    if !matches!(key.kind, Type::Struct(_)) {
        let [name] = &rules.key_fields[..] else {
            return Err(format!(
                "Need exactly one PK column defined since the key schema for records is a \
                 primitive type, defined columns are: [{}]",
                rules.key_fields.join(", ")
            ));
        };
        let schema = key.clone();
        let source = Source::WholeKey;
        return Ok(vec![Column {
            name: name.clone(),
            schema,
            is_key: true,
            source,
        }]);
    }
    let all: Vec<_> = key
        .fields()
        .iter()
        .map(|field| field.name.clone())
        .collect();
    let names = if rules.key_fields.is_empty() {
        &all
    } else {
        &rules.key_fields
    };
    let column = |name: &String| {
        let fields = key.fields();
        let index = fields
            .iter()
            .position(|field| field.name == *name)
            .ok_or_else(|| missing(rules, place, "RECORD_KEY", "record key", name))?;
        let schema = fields[index].schema.clone();
        Ok(Column {
            name: name.clone(),
            schema,
            is_key: true,
            source: Source::Key(index),
        })
    };
    names.iter().map(column).collect()
}

fn missing(
    rules: &TableRules,
    place: &Place<'_>,
    mode: &str,
    schema: &str,
    name: &str,
) -> LayoutError {
    format!(
        "PK mode for table '{}' is {mode} with configured PK fields [{}], but {schema} schema \
         does not contain field: {name}",
        place.topic,
        rules.key_fields.join(", ")
    )
}
