use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::Message;
use shared::connect_json::{ConvertError, Decoder, Field, Record, Schema, Type, Value};

use super::error::{BadRecord, Stage};
use super::layout::Layout;
use crate::config::{
    Converter, Dots, FieldFilter, KeyMode, OnTombstone, SinkConfig, TableFormat, TableRules,
};
use crate::dialect::TableName;
use crate::transforms::{ConnectRecord, Derived, Transforms};

const DATA_EXCEPTION: &str = "org.apache.kafka.connect.errors.DataException";
const CONNECT_EXCEPTION: &str = "org.apache.kafka.connect.errors.ConnectException";
/// A topic that never repeats a schema gains nothing by keeping more.
const CACHED_LAYOUTS: usize = 1_000;

/// Where a record stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Where it was consumed from.
    origin: &'a str,
    /// What the transforms made of that.
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    timestamp: Option<i64>,
}

/// What a record wants of its table.
#[derive(Debug)]
pub(super) struct Row {
    /// The record's index in its batch.
    pub(super) record: usize,
    pub(super) table: Arc<TableName>,
    pub(super) change: Change,
    /// Equal layouts are the same one.
    pub(super) layout: Arc<Layout>,
    /// In the order of the layout's columns.
    pub(super) values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Write,
    /// The layout's columns are the key.
    Delete,
}

/// Turns records into rows.
#[derive(Debug)]
pub(super) struct RowMapper {
    connector: String,
    rules: TableRules,
    key: Decoding,
    value: Decoding,
    transforms: Transforms,
    text_schemas: Derived,
    tables: HashMap<String, Arc<TableName>>,
    layouts: HashMap<LayoutKey, CachedLayout>,
}

/// Addresses of a table's name and of a key's and a value's schema.
type LayoutKey = (usize, usize, usize);

#[derive(Debug)]
struct CachedLayout {
    layout: Arc<Layout>,
    table: Arc<TableName>,
    /// Kept so that their addresses stay theirs.
    _schemas: [Option<Arc<Schema>>; 2],
}

#[derive(Debug)]
enum Decoding {
    String(Arc<Schema>),
    Json(Decoder),
}

impl Decoding {
    fn new(converter: Converter) -> Self {
        match converter {
            Converter::String => Self::String(Arc::new(Schema::required(Type::String))),
            Converter::Json {
                schemas: true,
                rules,
                ..
            } => Self::Json(Decoder::new(rules)),
            Converter::Json {
                schemas: false,
                rules,
                ..
            } => Self::Json(Decoder::schemaless(rules)),
        }
    }

    fn decode(&mut self, bytes: Option<&[u8]>) -> Result<Option<Record>, ConvertError> {
        match self {
            Self::Json(decoder) => decoder.decode(bytes),
            Self::String(schema) => Ok(bytes.map(|bytes| Record {
                schema: Some(Arc::clone(schema)),
                value: Value::String(String::from_utf8_lossy(bytes).into_owned()),
            })),
        }
    }
}

impl RowMapper {
    pub(super) fn new(connector: &str, config: &SinkConfig) -> Self {
        Self {
            connector: connector.to_owned(),
            rules: config.tables.clone(),
            key: Decoding::new(config.key_converter),
            value: Decoding::new(config.value_converter),
            transforms: Transforms::new(&config.transforms),
            text_schemas: Derived::default(),
            tables: HashMap::new(),
            layouts: HashMap::new(),
        }
    }

    /// `None` for a tombstone that changes nothing. `index` is the record's in its batch.
    pub(super) fn row(
        &mut self,
        index: usize,
        message: &impl Message,
    ) -> Result<Option<Row>, BadRecord> {
        let place = Place::of(message);
        let key = self.key.decode(message.key());
        let key = key.map_err(|error| place.unreadable(Stage::Key, &error))?;
        let value = self.value.decode(message.payload());
        let value = value.map_err(|error| place.unreadable(Stage::Value, &error))?;
        if self.transforms.is_empty() {
            return self.converted(index, place, key, value);
        }
        let record = ConnectRecord {
            topic: place.topic.to_owned(),
            key,
            value,
        };
        let ConnectRecord { topic, key, value } =
            self.transforms.apply(record).map_err(|error| {
                let stage = Stage::Transformation(error.class);
                place.bad(stage, error.message, DATA_EXCEPTION)
            })?;
        let place = Place {
            topic: &topic,
            ..place
        };
        self.converted(index, place, key, value)
    }

    fn converted(
        &mut self,
        index: usize,
        place: Place<'_>,
        key: Option<Record>,
        value: Option<Record>,
    ) -> Result<Option<Row>, BadRecord> {
        match value {
            None
            | Some(Record {
                value: Value::Null, ..
            }) => self.tombstone(index, place, key),
            Some(Record {
                schema: Some(schema),
                value: value @ Value::Struct(_),
            }) => self.write(index, place, key, (schema, value)).map(Some),
            Some(Record {
                schema: Some(schema),
                value: Value::String(text),
            }) if self.rules.text_column.is_some() => {
                let value = self.text_row(&place, &schema, text)?;
                self.write(index, place, key, value).map(Some)
            }
            Some(record) => Err(self.refuse(place, VALUE_NEEDED, &describe(&record, "value"))),
        }
    }

    fn write(
        &mut self,
        index: usize,
        place: Place<'_>,
        key: Option<Record>,
        (schema, value): (Arc<Schema>, Value),
    ) -> Result<Row, BadRecord> {
        if key.is_none() && self.rules.key == KeyMode::RecordKey {
            return Err(self.refuse(place, KEY_NEEDED, "a null key and null key schema"));
        }
        let (key_schema, key) = split(key);
        let table = self.table(place.topic);
        let layout = self.layout(&place, &table, key_schema, Some(schema))?;
        let values = layout.values(&place, key, value);
        Ok(Row {
            record: index,
            table,
            change: Change::Write,
            layout,
            values,
        })
    }

    /// Text as a struct of one field.
    fn text_row(
        &mut self,
        place: &Place<'_>,
        schema: &Arc<Schema>,
        text: String,
    ) -> Result<(Arc<Schema>, Value), BadRecord> {
        let filtered = !matches!(self.rules.fields, FieldFilter::All);
        let unfit = [
            ("fields.whitelist", filtered),
            (
                "timestamp.fields.list",
                !self.rules.timestamps.names.is_empty(),
            ),
        ];
        let unfit: Vec<_> = unfit
            .iter()
            .filter(|(_, set)| *set)
            .map(|(key, _)| *key)
            .collect();
        if !unfit.is_empty() {
            let text = format!("{} not applicable to String values", unfit.join(", "));
            return Err(place.bad(Stage::Put, text, CONNECT_EXCEPTION));
        }
        let name = self.rules.text_column.clone().unwrap_or_default();
        let wrap = |text: &Schema| {
            let field = Field {
                name,
                schema: text.clone(),
            };
            Ok(Schema::required(Type::Struct(vec![field])))
        };
        let wrapped = self.text_schemas.get_or_make(schema, wrap)?;
        Ok((wrapped, Value::Struct(vec![Value::String(text)])))
    }

    fn tombstone(
        &mut self,
        index: usize,
        place: Place<'_>,
        key: Option<Record>,
    ) -> Result<Option<Row>, BadRecord> {
        if !self.rules.delete {
            return match self.rules.on_tombstone {
                OnTombstone::Skip => Ok(None),
                OnTombstone::Refuse => {
                    Err(self.refuse(place, VALUE_NEEDED, "a null value and null value schema"))
                }
            };
        }
        if key.is_none() {
            return Err(self.refuse(place, KEY_NEEDED, "a null key and null key schema"));
        }
        let (key_schema, key) = split(key);
        let table = self.table(place.topic);
        let layout = self.layout(&place, &table, key_schema, None)?;
        let values = layout.values(&place, key, Value::Null);
        Ok(Some(Row {
            record: index,
            table,
            change: Change::Delete,
            layout,
            values,
        }))
    }

    fn table(&mut self, topic: &str) -> Arc<TableName> {
        if let Some(table) = self.tables.get(topic) {
            return Arc::clone(table);
        }
        let table = Arc::new(self.rules.name.table(topic));
        self.tables.insert(topic.to_owned(), Arc::clone(&table));
        table
    }

    fn layout(
        &mut self,
        place: &Place<'_>,
        table: &Arc<TableName>,
        key: Option<Arc<Schema>>,
        value: Option<Arc<Schema>>,
    ) -> Result<Arc<Layout>, BadRecord> {
        let address = |schema: &Option<Arc<Schema>>| {
            schema
                .as_ref()
                .map_or(0, |schema| Arc::as_ptr(schema).addr())
        };
        // The key's schema matters only where it gives columns.
        let key = key.filter(|_| self.rules.key == KeyMode::RecordKey);
        let addresses = (Arc::as_ptr(table).addr(), address(&key), address(&value));
        if let Some(cached) = self.layouts.get(&addresses) {
            return Ok(Arc::clone(&cached.layout));
        }
        let layout = match &value {
            Some(value) => Layout::of_row(&self.rules, place, key.as_deref(), value),
            None => Layout::of_key(&self.rules, place, key.as_deref()),
        };
        let layout = layout.map_err(|text| place.bad(Stage::Put, text, CONNECT_EXCEPTION))?;
        let mut others = self
            .layouts
            .values()
            .filter(|cached| Arc::ptr_eq(&cached.table, table));
        let equal = others.find(|cached| *cached.layout == layout);
        let layout = equal.map_or_else(|| Arc::new(layout), |cached| Arc::clone(&cached.layout));
        if self.layouts.len() >= CACHED_LAYOUTS {
            self.layouts.clear();
        }
        let cached = CachedLayout {
            layout: Arc::clone(&layout),
            table: Arc::clone(table),
            _schemas: [key, value],
        };
        self.layouts.insert(addresses, cached);
        Ok(layout)
    }

    fn refuse(&self, place: Place<'_>, needs: &str, found: &str) -> BadRecord {
        let mode = match self.rules.key {
            KeyMode::None => "none",
            KeyMode::Kafka => "kafka",
            KeyMode::RecordKey => "record_key",
            KeyMode::RecordValue => "record_value",
        };
        let text = format!(
            "Sink connector '{}' is configured with 'delete.enabled={}' and 'pk.mode={mode}' and \
             therefore requires records with {needs}, but found record at \
             (topic='{}',partition={},offset={},timestamp={}) with {found}.",
            self.connector,
            self.rules.delete,
            place.topic,
            place.partition,
            place.offset,
            place
                .timestamp
                .map_or_else(|| "null".to_owned(), |millis| millis.to_string()),
        );
        place.bad(Stage::Put, text, CONNECT_EXCEPTION)
    }
}

const KEY_NEEDED: &str = "a non-null key and non-null Struct or primitive key schema";
const VALUE_NEEDED: &str = "a non-null Struct or String value and non-null Struct or String schema";

impl TableFormat {
    fn table(&self, topic: &str) -> TableName {
        let whole = |name: String| TableName { schema: None, name };
        if let Some(name) = self.mapping.get(topic) {
            return qualified(name);
        }
        match self.dots {
            Dots::Replace => whole(self.format.replace("${topic}", &topic.replace('.', "_"))),
            Dots::Qualify => qualified(&self.format.replace("${topic}", topic)),
            Dots::Normalize => {
                let name = self.format.replace("${topic}", topic);
                let keep = |c: char| c.is_ascii_alphanumeric() || c == '_';
                whole(
                    name.chars()
                        .map(|c| if keep(c) { c } else { '_' })
                        .collect(),
                )
            }
        }
    }
}

fn qualified(name: &str) -> TableName {
    let (schema, name) = name
        .split_once('.')
        .map_or((None, name), |(schema, name)| (Some(schema), name));
    TableName {
        schema: schema.map(str::to_owned),
        name: name.to_owned(),
    }
}

impl<'a> Place<'a> {
    fn of(message: &'a impl Message) -> Self {
        Self {
            origin: message.topic(),
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
        }
    }

    fn unreadable(&self, stage: Stage, error: &ConvertError) -> BadRecord {
        let cause = std::error::Error::source(error);
        let cause = cause.map_or_else(String::new, |cause| cause.to_string());
        self.bad(stage, format!("{error}{cause}"), DATA_EXCEPTION)
    }

    fn bad(&self, stage: Stage, message: String, exception: &'static str) -> BadRecord {
        BadRecord {
            topic: self.origin.to_owned(),
            partition: self.partition,
            offset: self.offset,
            stage,
            message,
            exception,
        }
    }
}

fn split(record: Option<Record>) -> (Option<Arc<Schema>>, Value) {
    record.map_or((None, Value::Null), |record| (record.schema, record.value))
}

/// As Java names them: `a HashMap value and null value schema`.
fn describe(record: &Record, part: &str) -> String {
    let class = match &record.value {
        Value::Null => "null",
        Value::Bool(_) => "Boolean",
        Value::Int8(_) => "Byte",
        Value::Int16(_) => "Short",
        Value::Int32(_) => "Integer",
        Value::Int64(_) => "Long",
        Value::Float32(_) => "Float",
        Value::Float64(_) => "Double",
        Value::String(_) => "String",
        Value::Bytes(_) => "ByteBuffer",
        Value::Decimal(_) => "BigDecimal",
        Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => "Date",
        Value::Array(_) => "ArrayList",
        Value::Map(_) => "HashMap",
        Value::Struct(_) => "Struct",
    };
    let schema = record
        .schema
        .as_ref()
        .map(|schema| schema.kind.name().to_lowercase());
    let schema = schema.as_deref().unwrap_or("null");
    format!("a {class} {part} and {schema} {part} schema")
}
