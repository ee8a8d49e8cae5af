//! Records through the pipeline into a database, the same cases on each of them. Numbers
//! are rows of the observed behaviour of Confluent's sink.

mod ddl;

use std::collections::BTreeMap;

pub(crate) use ddl::*;

use connect_worker::config::SinkConfig;
use connect_worker::dialect::{self, TableName};
use connect_worker::sink::{BatchError, Pipeline, Progress, TaskError, TaskId, Written};
use rdkafka::Timestamp;
use rdkafka::message::OwnedMessage;
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, QueryResult, Statement, TransactionTrait,
};
use serde_json::{Value, json};
use shared::database;
use shared::kafka::KafkaSettings;
use shared::settings::DatabaseSettings;

const CONFLUENT: &str = "io.confluent.connect.jdbc.JdbcSinkConnector";
const AIVEN: &str = "io.aiven.connect.jdbc.JdbcSinkConnector";
const DEBEZIUM: &str = "io.debezium.connector.jdbc.JdbcSinkConnector";

pub(crate) async fn connect(url: &str) -> DatabaseConnection {
    let settings = DatabaseSettings {
        max_connections: 1,
        ..DatabaseSettings::at(url)
    };
    database::connect(&settings).await.unwrap()
}

/// A sink, and its database to look into.
struct Sink {
    pipeline: Pipeline,
    db: DatabaseConnection,
    offset: i64,
}

/// What `put` takes: key and value as bytes of text.
type Record = (Option<String>, Option<String>);

impl Sink {
    async fn new(url: &str, class: &str, keys: &[(&str, &str)]) -> Self {
        let base = [
            ("connector.class", class),
            ("topics", "orders"),
            ("connection.url", "jdbc:sqlite::memory:"),
        ];
        let pairs = base.iter().chain(keys);
        let properties: BTreeMap<_, _> = pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let config = SinkConfig::parse(&properties).unwrap();
        let task = TaskId {
            connector: "N".to_owned(),
            number: 0,
        };
        let pipeline = Pipeline::new(
            &task,
            &config,
            connect(url).await,
            &KafkaSettings::default(),
        );
        Self {
            pipeline,
            db: connect(url).await,
            offset: 0,
        }
    }

    async fn confluent(url: &str, keys: &[(&str, &str)]) -> Self {
        let auto_create = [("auto.create", "true")];
        let keys: Vec<_> = auto_create.iter().chain(keys).copied().collect();
        Self::new(url, CONFLUENT, &keys).await
    }

    async fn put(&mut self, records: Vec<Record>) -> Result<Written, String> {
        self.put_into("orders", records).await
    }

    async fn put_into(&mut self, topic: &str, records: Vec<Record>) -> Result<Written, String> {
        let batch = self.batch(topic, records);
        let mut progress = Progress::default();
        match self.pipeline.write(&batch, &mut progress).await {
            Ok(written) => Ok(written),
            Err(BatchError::Task(error)) => Err(TaskError::trace(&error)),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    fn batch(&mut self, topic: &str, records: Vec<Record>) -> Vec<OwnedMessage> {
        let message = |(key, value)| {
            let offset = self.offset;
            self.offset += 1;
            let time = Timestamp::CreateTime(1_700_000_000_000);
            let bytes = |text: Option<String>| text.map(String::into_bytes);
            OwnedMessage::new(
                bytes(value),
                bytes(key),
                topic.into(),
                time,
                0,
                offset,
                None,
            )
        };
        records.into_iter().map(message).collect()
    }

    /// Rows as text, ordered by their first column.
    async fn rows(&self, table: &str, columns: &[&str]) -> Vec<String> {
        let backend = self.db.get_database_backend();
        let dialect = dialect::for_backend(backend);
        let text = if backend == DatabaseBackend::MySql {
            "CHAR"
        } else {
            "TEXT"
        };
        let parts: Vec<_> = columns
            .iter()
            .map(|column| {
                format!(
                    "COALESCE(CAST({} AS {text}), 'NULL')",
                    dialect.quote(column)
                )
            })
            .collect();
        let separator = if backend == DatabaseBackend::MySql {
            ", '|', "
        } else {
            " || '|' || "
        };
        let joined = parts.join(separator);
        let joined = match backend {
            DatabaseBackend::MySql => format!("CONCAT({joined})"),
            _ => joined,
        };
        let table = dialect.quote(table);
        let sql = format!("SELECT {joined} AS r FROM {table} ORDER BY 1");
        let rows = self
            .db
            .query_all_raw(Statement::from_string(backend, sql))
            .await
            .unwrap();
        rows.iter()
            .map(|row| row.try_get("", "r").unwrap())
            .collect()
    }

    /// The names of a table's columns, in their order.
    async fn columns(&self, table: &str) -> Vec<String> {
        let name = TableName {
            schema: None,
            name: table.to_owned(),
        };
        let dialect = dialect::for_backend(self.db.get_database_backend());
        let rows = self
            .db
            .query_all_raw(dialect.describe(&name))
            .await
            .unwrap();
        let name = |row: &QueryResult| row.try_get("", "name").unwrap();
        rows.iter().map(name).collect()
    }

    fn quoted(&self, name: &str) -> String {
        dialect::for_backend(self.db.get_database_backend()).quote(name)
    }

    async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    fn is(&self, backend: DatabaseBackend) -> bool {
        self.db.get_database_backend() == backend
    }
}

/// `{id:int64!,product:string!}` with `?` for optional and `=` for a default.
fn schema(fields: &[&str]) -> Value {
    let fields: Vec<_> = fields.iter().map(|field| parse_field(field)).collect();
    json!({"type": "struct", "optional": false, "name": "t", "fields": fields})
}

fn parse_field(text: &str) -> Value {
    let (name, rest) = text.split_once(':').unwrap();
    let (kind, default) = rest
        .split_once('=')
        .map_or((rest, None), |(k, d)| (k, Some(d)));
    let optional = kind.ends_with('?');
    let kind = kind.trim_end_matches(['?', '!']);
    let logical = |of: &str| json!({"type": of, "name": format!("org.apache.kafka.connect.data.{kind}"), "version": 1});
    let mut field = match kind {
        "Timestamp" => logical("int64"),
        "Date" | "Time" => logical("int32"),
        "Decimal" => {
            let mut field = logical("bytes");
            field["parameters"] = json!({"scale": "2"});
            field
        }
        "struct" => json!({"type": "struct", "fields": []}),
        kind => json!({"type": kind}),
    };
    field["field"] = json!(name);
    field["optional"] = json!(optional);
    if let Some(default) = default {
        field["default"] = serde_json::from_str(default).unwrap();
    }
    field
}

fn envelope(schema: &Value, payload: &Value) -> Option<String> {
    Some(json!({"schema": schema, "payload": payload}).to_string())
}

fn value(fields: &[&str], payload: Value) -> Record {
    (None, envelope(&schema(fields), &payload))
}

fn keyed(key: Value, fields: &[&str], payload: Value) -> Record {
    (key_of(key), envelope(&schema(fields), &payload))
}

fn key_of(key: Value) -> Option<String> {
    let schema = match &key {
        Value::Object(_) => schema(&["id:int64!"]),
        Value::String(_) => json!({"type": "string"}),
        _ => json!({"type": "int64"}),
    };
    envelope(&schema, &key)
}

fn tombstone(key: Value) -> Record {
    (key_of(key), None)
}

const ID_AND_NAME: [&str; 2] = ["id:int64!", "name:string?"];

fn named(id: i64, name: &str) -> Record {
    value(&ID_AND_NAME, json!({"id": id, "name": name}))
}

const UPSERT_BY_ID: [(&str, &str); 3] = [
    ("insert.mode", "upsert"),
    ("pk.mode", "record_value"),
    ("pk.fields", "id"),
];
const BY_RECORD_KEY: [(&str, &str); 3] = [
    ("insert.mode", "upsert"),
    ("pk.mode", "record_key"),
    ("pk.fields", "id"),
];

/// 1, 9: the columns are the schema's, in its order.
pub(crate) async fn a_missing_table_is_created_from_the_schema(url: &str) {
    let mut sink = Sink::confluent(url, &[]).await;
    let fields = ["z:int64!", "a:string!", "m:double!"];
    let record = value(&fields, json!({"m": 1.5, "z": 1, "a": "x"}));
    sink.put(vec![record]).await.unwrap();
    assert_eq!(sink.rows("orders", &["z", "a", "m"]).await, ["1|x|1.5"]);
}

/// 2, 10: every type goes through.
pub(crate) async fn values_of_every_type_arrive(url: &str) {
    let mut sink = Sink::confluent(url, &[]).await;
    let fields = [
        "i8:int8!",
        "i16:int16!",
        "i32:int32!",
        "i64:int64!",
        "f:float!",
        "d:double!",
        "b:boolean!",
        "s:string!",
        "dec:Decimal!",
        "date:Date!",
        "time:Time!",
        "ts:Timestamp!",
        "by:bytes!",
    ];
    let payload = json!({
        "i8": -1, "i16": 300, "i32": 70_000, "i64": 3_000_000_000_i64, "f": 0.5, "d": 1.25,
        "b": true, "s": "ü'\\", "dec": "AJw=", "date": 17_067, "time": 73_802_123,
        "ts": 1_474_661_402_123_i64, "by": "YWJj",
    });
    let nulls = json!({});
    let optional: Vec<_> = fields.iter().map(|field| field.replace('!', "?")).collect();
    let optional: Vec<_> = optional.iter().map(String::as_str).collect();
    sink.put(vec![value(&optional, payload), value(&optional, nulls)])
        .await
        .unwrap();
    let columns = [
        "i8", "i16", "i32", "i64", "f", "d", "b", "s", "dec", "date", "time", "ts",
    ];
    let (date, time, ts) = if sink.is(DatabaseBackend::Sqlite) {
        (
            "2016-09-23",
            "20:30:02.123",
            "2016-09-23T20:10:02.123+00:00",
        )
    } else {
        ("2016-09-23", "20:30:02.123", "2016-09-23 20:10:02.123")
    };
    let b = if sink.is(DatabaseBackend::Postgres) {
        "true"
    } else {
        "1"
    };
    let full = format!("-1|300|70000|3000000000|0.5|1.25|{b}|ü'\\|1.56|{date}|{time}|{ts}");
    let rows = sink.rows("orders", &columns).await;
    assert!(rows.contains(&full), "{rows:?}");
    assert!(rows.contains(&["NULL"; 12].join("|")), "{rows:?}");
}

/// 3, 6, 7: defaults of the schema are the column's and the record's.
pub(crate) async fn defaults_are_written_and_declared(url: &str) {
    let mut sink = Sink::confluent(url, &[]).await;
    let fields = [
        "id:int32!",
        "s:string?=\"it's\"",
        "n:int32?=100",
        "b:boolean?=false",
        "d:double?=99.5",
        "dec:Decimal?=\"AJw=\"",
        "by:bytes?=\"4Hw=\"",
        "ts:Timestamp?=984614400000",
        "o:string?",
    ];
    sink.put(vec![value(&fields, json!({"id": 2}))])
        .await
        .unwrap();
    let insert = if sink.is(DatabaseBackend::MySql) {
        "`id`"
    } else {
        "\"id\""
    };
    sink.run(&format!("INSERT INTO orders ({insert}) VALUES (3)"))
        .await;
    let rows = sink
        .rows("orders", &["id", "s", "n", "d", "dec", "ts", "o"])
        .await;
    let rest = |row: &str| row.split_once('|').unwrap().1.to_owned();
    assert_eq!(rest(&rows[0]), rest(&rows[1]));
    assert!(
        rows[0].starts_with("2|it's|100|99.5|1.56|2001-03-15"),
        "{rows:?}"
    );
    assert!(rows[0].ends_with("|NULL"), "{rows:?}");
}

/// 27, 45: the last of a key wins, within a batch and across.
pub(crate) async fn the_last_record_of_a_key_wins(url: &str) {
    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    sink.put(vec![named(1, "a"), named(2, "x"), named(1, "b")])
        .await
        .unwrap();
    assert_eq!(sink.rows("orders", &["id", "name"]).await, ["1|b", "2|x"]);
    sink.put(vec![named(2, "y"), named(3, "z")]).await.unwrap();
    assert_eq!(
        sink.rows("orders", &["id", "name"]).await,
        ["1|b", "2|y", "3|z"]
    );
}

/// 28: a batch is written whole or not at all.
pub(crate) async fn a_failed_batch_leaves_nothing(url: &str) {
    let keys = [("pk.mode", "record_value"), ("pk.fields", "id")];
    let mut sink = Sink::confluent(url, &keys).await;
    sink.put(vec![named(9, "a")]).await.unwrap();
    let error = sink
        .put(vec![named(1, "a"), named(1, "b")])
        .await
        .unwrap_err();
    assert!(error.starts_with("Tolerance exceeded in error handler\nCaused by: orders-0@1"));
    assert_eq!(sink.rows("orders", &["id"]).await, ["9"]);
}

/// 30: keys from the record's key; a value without a field overwrites it with null.
pub(crate) async fn the_key_can_come_from_the_records_key(url: &str) {
    let mut sink = Sink::confluent(url, &BY_RECORD_KEY).await;
    let fields = ["name:string?", "qty:int32?"];
    let key = || json!({"id": 7});
    let full = keyed(key(), &fields, json!({"name": "a", "qty": 1}));
    sink.put(vec![full, keyed(key(), &fields, json!({"name": "b"}))])
        .await
        .unwrap();
    assert_eq!(
        sink.rows("orders", &["id", "name", "qty"]).await,
        ["7|b|NULL"]
    );
}

/// 31, 32: a primitive key, text too, on MariaDB as well.
pub(crate) async fn a_primitive_key_needs_one_column(url: &str) {
    let mut sink = Sink::confluent(url, &BY_RECORD_KEY).await;
    let record = |id: &str, qty: i32| keyed(json!(id), &["qty:int32!"], json!({"qty": qty}));
    sink.put(vec![record("a", 1), record("b", 2), record("a", 3)])
        .await
        .unwrap();
    assert_eq!(sink.rows("orders", &["id", "qty"]).await, ["a|3", "b|2"]);
}

/// 33, 34: Kafka's coordinates as the key.
pub(crate) async fn coordinates_can_be_the_key(url: &str) {
    let keys = [("insert.mode", "upsert"), ("pk.mode", "kafka")];
    let mut sink = Sink::confluent(url, &keys).await;
    sink.put(vec![named(1, "a"), named(1, "a")]).await.unwrap();
    let columns = [
        "__connect_topic",
        "__connect_partition",
        "__connect_offset",
        "id",
    ];
    assert_eq!(
        sink.rows("orders", &columns).await,
        ["orders|0|0|1", "orders|0|1|1"]
    );
}

/// 39: without key fields all fields are the key.
pub(crate) async fn without_key_fields_all_fields_are_the_key(url: &str) {
    let keys = [("insert.mode", "upsert"), ("pk.mode", "record_value")];
    let mut sink = Sink::confluent(url, &keys).await;
    let record = || value(&["id:int64!", "qty:int32!"], json!({"id": 1, "qty": 2}));
    sink.put(vec![record(), record()]).await.unwrap();
    sink.put(vec![record()]).await.unwrap();
    assert_eq!(sink.rows("orders", &["id", "qty"]).await, ["1|2"]);
}

/// 42.
pub(crate) async fn an_upsert_needs_a_key(url: &str) {
    let mut sink = Sink::confluent(url, &[("insert.mode", "upsert")]).await;
    let error = sink.put(vec![named(1, "a")]).await.unwrap_err();
    assert!(
        error.contains("in UPSERT mode requires key field names to be known"),
        "{error}"
    );
}

/// 55, 56: deletes keep their place among the writes of their key.
pub(crate) async fn a_tombstone_deletes_its_row(url: &str) {
    let keys = [&BY_RECORD_KEY[..], &[("delete.enabled", "true")]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let write = |id: i64, name: &str| keyed(json!(id), &["name:string?"], json!({"name": name}));
    let gone = |id: i64| tombstone(json!(id));
    sink.put(vec![gone(1)]).await.unwrap();
    sink.put(vec![write(1, "a"), gone(1), write(2, "b")])
        .await
        .unwrap();
    assert_eq!(sink.rows("orders", &["id", "name"]).await, ["2|b"]);
    sink.put(vec![write(1, "a"), gone(1), write(1, "again"), gone(2)])
        .await
        .unwrap();
    assert_eq!(sink.rows("orders", &["id", "name"]).await, ["1|again"]);
}

/// 53: Debezium skips a tombstone, Confluent refuses it.
pub(crate) async fn a_tombstone_without_deletes_changes_nothing(url: &str) {
    let keys = [
        ("insert.mode", "upsert"),
        ("primary.key.mode", "record_value"),
        ("primary.key.fields", "id"),
        ("schema.evolution", "basic"),
    ];
    let mut sink = Sink::new(url, DEBEZIUM, &keys).await;
    sink.put(vec![named(1, "a"), tombstone(json!(1)), named(2, "b")])
        .await
        .unwrap();
    assert_eq!(sink.rows("orders", &["id"]).await, ["1", "2"]);

    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    let error = sink.put(vec![tombstone(json!(1))]).await.unwrap_err();
    assert!(
        error.contains(
            "Sink connector 'N' is configured with 'delete.enabled=false' and \
             'pk.mode=record_value' and therefore requires records with a non-null Struct or \
             String value and non-null Struct or String schema, but found record at \
             (topic='orders',partition=0,offset=0,timestamp=1700000000000) with a null value and null value schema."
        ),
        "{error}"
    );
}

/// 61.
pub(crate) async fn a_missing_table_is_an_error_where_none_may_be_created(url: &str) {
    let mut sink = Sink::new(url, DEBEZIUM, &[]).await;
    let error = sink.put(vec![named(1, "a")]).await.unwrap_err();
    assert_eq!(error, "Could not find table: orders");
    let mut sink = Sink::new(url, CONFLUENT, &[]).await;
    let error = sink.put(vec![named(1, "a")]).await.unwrap_err();
    assert!(
        error.ends_with("is missing and auto-creation is disabled"),
        "{error}"
    );
}

/// 62, 63, 65: new columns come in mid-batch, if they may.
pub(crate) async fn a_table_grows_with_its_records(url: &str) {
    let grown = ["id:int64!", "name:string?", "age:int32?"];
    let aged = |id: i64| value(&grown, json!({"id": id, "name": "b", "age": 5}));
    let mut rigid = Sink::confluent(url, &UPSERT_BY_ID).await;
    rigid.put(vec![named(1, "a")]).await.unwrap();
    let error = rigid.put(vec![aged(1)]).await.unwrap_err();
    assert!(
        error.ends_with(
            "is missing fields ([SinkRecordField{schema=Schema{INT32}, name='age', \
             isPrimaryKey=false}]) and auto-evolution is disabled"
        ),
        "{error}"
    );
    let keys = [&UPSERT_BY_ID[..], &[("auto.evolve", "true")]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    sink.put(vec![named(1, "a"), named(2, "a"), aged(1), named(1, "c")])
        .await
        .unwrap();
    let rows = sink.rows("orders", &["id", "name", "age"]).await;
    assert_eq!(rows, ["1|c|5", "2|a|NULL"]);
    let required = ["id:int64!", "size:int32!"];
    let error = sink
        .put(vec![value(&required, json!({"id": 1, "size": 1}))])
        .await
        .unwrap_err();
    assert!(
        error.contains("field 'size' is not optional but has no default value"),
        "{error}"
    );
}

/// 72: a table that is dropped in mid-stream is looked at again.
pub(crate) async fn a_dropped_table_comes_back(url: &str) {
    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    sink.put(vec![named(1, "a")]).await.unwrap();
    sink.run("DROP TABLE orders").await;
    assert!(
        sink.put(vec![named(2, "b")])
            .await
            .unwrap_err()
            .starts_with("Structure")
    );
    sink.put(vec![named(2, "b")]).await.unwrap();
    assert_eq!(sink.rows("orders", &["id"]).await, ["2"]);
}

/// 12, 13: nested values have no column type, but a null fits any column.
pub(crate) async fn nested_values_are_refused(url: &str) {
    let fields = ["id:int64!", "deep:struct?"];
    let record = |deep: Value| value(&fields, json!({"id": 1, "deep": deep}));
    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    let error = sink.put(vec![record(json!({}))]).await.unwrap_err();
    assert_eq!(
        error,
        "null (STRUCT) type doesn't have a mapping to the SQL database column type"
    );
    sink.run("CREATE TABLE orders (id BIGINT PRIMARY KEY, deep VARCHAR(10))")
        .await;
    sink.put(vec![record(Value::Null)]).await.unwrap();
    let error = sink.put(vec![record(json!({}))]).await.unwrap_err();
    assert!(
        error.contains("Unsupported source data type: STRUCT"),
        "{error}"
    );
}

/// 36, 37, 76, 77, 78: records of the wrong shape are told as Connect tells them.
pub(crate) async fn records_of_the_wrong_shape_are_refused(url: &str) {
    let mut sink = Sink::confluent(url, &BY_RECORD_KEY).await;
    let mut refused = async |record: Record| sink.put(vec![record]).await.unwrap_err();
    let null_key = refused(named(1, "a")).await;
    assert!(null_key.contains(
        "therefore requires records with a non-null key and non-null Struct or primitive key \
         schema, but found record at (topic='orders',partition=0,offset=0,\
         timestamp=1700000000000) with a null key and null key schema."
    ));
    let no_schema = refused((key_of(json!(1)), envelope(&Value::Null, &json!({"id": 1})))).await;
    assert!(
        no_schema.contains("with a HashMap value and null value schema."),
        "{no_schema}"
    );
    let number = envelope(&json!({"type": "int32"}), &json!(1));
    let primitive = refused((key_of(json!(1)), number)).await;
    assert!(
        primitive.contains("with a Integer value and int32 value schema."),
        "{primitive}"
    );
    let plain = refused((None, Some(r#"{"id":1}"#.to_owned()))).await;
    assert!(
        plain.contains("JsonConverter with schemas.enable requires"),
        "{plain}"
    );

    let keys = [("pk.mode", "record_key")];
    let mut sink = Sink::confluent(url, &keys).await;
    let error = sink
        .put(vec![keyed(json!(1), &ID_AND_NAME, json!({"id": 1}))])
        .await
        .unwrap_err();
    assert!(error.contains(
        "Need exactly one PK column defined since the key schema for records is a primitive \
         type, defined columns are: []"
    ));
}

/// 73: Debezium makes a table name of any topic, Confluent reads a schema in it.
pub(crate) async fn a_dot_in_a_topic_becomes_an_underscore_for_debezium(url: &str) {
    let keys = [
        ("schema.evolution", "basic"),
        ("collection.name.format", "t_${topic}"),
    ];
    let mut sink = Sink::new(url, DEBEZIUM, &keys).await;
    sink.put_into("a.b", vec![named(1, "a")]).await.unwrap();
    assert_eq!(sink.rows("t_a_b", &["id"]).await, ["1"]);
}

/// 75: names are taken as they are.
pub(crate) async fn names_keep_their_case(url: &str) {
    let mut sink = Sink::confluent(url, &[]).await;
    let record = value(
        &["Id:int64!", "select:string?"],
        json!({"Id": 1, "select": "x"}),
    );
    sink.put_into("Orders", vec![record]).await.unwrap();
    assert_eq!(sink.rows("Orders", &["Id", "select"]).await, ["1|x"]);
}

/// A transform makes the key, another the table's name.
pub(crate) async fn transforms_set_keys_and_names(url: &str) {
    let keys = [
        &BY_RECORD_KEY[..],
        &[
            ("transforms", "key,id,route"),
            (
                "transforms.key.type",
                "org.apache.kafka.connect.transforms.ValueToKey",
            ),
            ("transforms.key.fields", "name"),
            (
                "transforms.id.type",
                "org.apache.kafka.connect.transforms.ExtractField$Key",
            ),
            ("transforms.id.field", "name"),
            (
                "transforms.route.type",
                "org.apache.kafka.connect.transforms.RegexRouter",
            ),
            ("transforms.route.regex", "shop\\.(.*)"),
            ("transforms.route.replacement", "t_$1"),
        ],
    ]
    .concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let record = |name: &str, qty: i32| {
        let payload = json!({"name": name, "qty": qty});
        value(&["name:string!", "qty:int32!"], payload)
    };
    sink.put_into("shop.orders", vec![record("a", 1), record("b", 2)])
        .await
        .unwrap();
    sink.put_into("shop.orders", vec![record("a", 3)])
        .await
        .unwrap();
    assert_eq!(
        sink.rows("t_orders", &["id", "name", "qty"]).await,
        ["a|a|3", "b|b|2"]
    );
    let error = sink.put(vec![tombstone(json!(1))]).await.unwrap_err();
    assert!(
        error.contains("orders-0@3: Only Map objects supported in absence of schema"),
        "{error}"
    );
}

/// More rows than one statement can bind, some of them twice.
pub(crate) async fn a_large_batch_is_cut_into_statements(url: &str) {
    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    let fields: Vec<_> = (0..60).map(|n| format!("c{n}:int32?")).collect();
    let fields: Vec<_> = std::iter::once("id:int64!")
        .chain(fields.iter().map(String::as_str))
        .collect();
    let records = (0..2_500).map(|n| value(&fields, json!({"id": n % 2_000, "c59": n})));
    sink.put(records.collect()).await.unwrap();
    let rows = sink.rows("orders", &["id", "c59"]).await;
    assert_eq!(rows.len(), 2_000);
    assert!(rows.contains(&"0|2000".to_owned()) && rows.contains(&"1999|1999".to_owned()));
}

/// Text that a column cannot hold, and numbers out of its range, are bad data.
pub(crate) async fn what_a_column_cannot_hold_is_bad_data(url: &str) {
    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    if sink.is(DatabaseBackend::Sqlite) {
        sink.run("CREATE TABLE orders (id BIGINT PRIMARY KEY, name TEXT CHECK (length(name) < 4))")
            .await;
    } else {
        sink.run("CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(3))")
            .await;
        let error = sink.put(vec![named(3_000_000_000, "a")]).await.unwrap_err();
        assert!(error.starts_with("Tolerance exceeded"), "{error}");
    }
    let error = sink.put(vec![named(1, "abcdef")]).await.unwrap_err();
    assert!(error.starts_with("Tolerance exceeded"), "{error}");
    sink.put(vec![named(1, "abc")]).await.unwrap();
    assert_eq!(sink.rows("orders", &["id", "name"]).await, ["1|abc"]);
}

/// An ENUM's and a DOUBLE's values, partitions and triggers of MariaDB; an index row, triggers
/// and a view's check option of PostgreSQL.
pub(crate) async fn what_a_table_refuses_by_its_own_rules_is_bad_data(url: &str) {
    let keys = [("table.types", "TABLE,VIEW")];
    let sink = Sink::confluent(url, &keys).await;
    let tables: &[&[&str]] = match sink.db.get_database_backend() {
        DatabaseBackend::MySql => &[
            &["CREATE TABLE orders (id BIGINT, name ENUM('a', 'b'))"],
            &["CREATE TABLE orders (id BIGINT, name DOUBLE)"],
            &[
                "CREATE TABLE orders (id BIGINT, name TEXT) PARTITION BY LIST (id) \
                 (PARTITION two VALUES IN (2))",
            ],
            &[
                "CREATE TABLE orders (id BIGINT, name TEXT)",
                "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW \
                 SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'",
            ],
        ],
        DatabaseBackend::Postgres => &[
            &["CREATE TABLE orders (id BIGINT, name TEXT UNIQUE)"],
            &[
                "CREATE TABLE orders (id BIGINT, name TEXT)",
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'no'; END $$",
                "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()",
            ],
            &[
                "CREATE TABLE base (id BIGINT, name TEXT)",
                "CREATE VIEW orders AS SELECT * FROM base WHERE id = 2 WITH CHECK OPTION",
            ],
        ],
        _ => return,
    };
    for table in tables {
        sink.run("DROP TABLE IF EXISTS orders").await;
        for sql in *table {
            sink.run(sql).await;
        }
        let mut fresh = Sink::confluent(url, &keys).await;
        let put = fresh.put(vec![named(1, &incompressible())]).await;
        let error = put.unwrap_err();
        assert!(error.starts_with("Tolerance exceeded"), "{table:?} {error}");
    }
}

/// Beyond what an index of PostgreSQL takes, also compressed.
fn incompressible() -> String {
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 16) % 26).unwrap())
    };
    (0..20_000).map(|_| letter()).collect()
}

/// Debezium's sink would make a time of it.
pub(crate) async fn a_time_of_debeziums_own_is_refused(url: &str) {
    let at = json!({"type": "int64", "field": "at", "name": "io.debezium.time.MicroTimestamp"});
    let schema = json!({"type": "struct", "optional": false, "fields": [at]});
    let record = (None, envelope(&schema, &json!({"at": 1})));
    let mut confluent = Sink::confluent(url, &[]).await;
    confluent.put(vec![record.clone()]).await.unwrap();
    assert_eq!(confluent.rows("orders", &["at"]).await, ["1"]);
    let mut debezium = Sink::new(url, DEBEZIUM, &[]).await;
    let error = debezium.put(vec![record]).await.unwrap_err();
    assert!(
        error.contains("'at' is of type io.debezium.time.MicroTimestamp"),
        "{error}"
    );
}

/// A rival holds the row of the second half until the attempt is given up.
pub(crate) async fn a_second_attempt_writes_only_what_the_first_has_not(url: &str) {
    let keys = [("errors.tolerance", "all"), ("errors.log.enable", "true")];
    let mut sink = Sink::confluent(url, &keys).await;
    if sink.is(DatabaseBackend::Sqlite) {
        return; // Its locks are the whole file's.
    }
    sink.run("CREATE TABLE orders (id BIGINT, name VARCHAR(3) UNIQUE)")
        .await;
    let rival = connect(url).await.begin().await.unwrap();
    rival
        .execute_unprepared("INSERT INTO orders VALUES (9, 'c')")
        .await
        .unwrap();
    let unnamed = value(&ID_AND_NAME, json!({"id": 1}));
    let batch = sink.batch("orders", vec![unnamed, named(2, "long"), named(3, "c")]);
    let mut progress = Progress::default();
    let failed = sink.pipeline.write(&batch, &mut progress).await;
    assert!(matches!(failed, Err(BatchError::Database(_))), "{failed:?}");
    rival.rollback().await.unwrap();
    sink.pipeline.write(&batch, &mut progress).await.unwrap();
    assert_eq!(
        sink.rows("orders", &["id", "name"]).await,
        ["1|NULL", "3|c"]
    );
}

/// 25: an existing table keeps its column types, which need not be those we would choose.
pub(crate) async fn existing_columns_decide_how_values_are_bound(url: &str) {
    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    let types = match sink.db.get_database_backend() {
        DatabaseBackend::Postgres => ["bigint", "uuid", "jsonb", "timestamptz", "numeric(10,2)"],
        DatabaseBackend::MySql => [
            "bigint",
            "char(36)",
            "json",
            "timestamp(3)",
            "decimal(10,2)",
        ],
        _ => ["INTEGER", "TEXT", "TEXT", "TEXT", "NUMERIC"],
    };
    let [id, u, j, at, price] = types;
    sink.run(&format!(
        "CREATE TABLE orders (id {id} PRIMARY KEY, u {u}, j {j}, at {at} NULL, price {price})"
    ))
    .await;
    let fields = [
        "id:int32!",
        "u:string?",
        "j:string?",
        "at:Timestamp?",
        "price:Decimal?",
    ];
    let uuid = "0193b5a0-0000-7000-8000-000000000001";
    let payload =
        json!({"id": 1, "u": uuid, "j": "[1]", "at": 1_474_661_402_123_i64, "price": 1.5});
    let nulls = value(&fields, json!({"id": 2}));
    sink.put(vec![value(&fields, payload), nulls])
        .await
        .unwrap();
    let rows = sink.rows("orders", &["id", "u", "j", "price"]).await;
    assert!(
        rows[0].starts_with(&format!("1|{uuid}|[1]|1.5")),
        "{rows:?}"
    );
    assert_eq!(rows[1], "2|NULL|NULL|NULL");
    let at = if sink.is(DatabaseBackend::Postgres) {
        "SELECT (at AT TIME ZONE 'UTC')::text AS r FROM orders WHERE id = 1"
    } else {
        "SELECT CAST(at AS CHAR) AS r FROM orders WHERE id = 1"
    };
    let statement = Statement::from_string(sink.db.get_database_backend(), at);
    let row = sink.db.query_one_raw(statement).await.unwrap().unwrap();
    let at: String = row.try_get("", "r").unwrap();
    assert_eq!(
        at.replace('T', " ").trim_end_matches("+00:00"),
        "2016-09-23 20:10:02.123"
    );
}

/// The orders record of the tutorial: everything optional, all int32.
pub(crate) async fn the_tutorials_order_is_taken(url: &str) {
    let mut sink = Sink::confluent(url, &[("auto.evolve", "true")]).await;
    let record = r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":true,"field":"id"},{"type":"int32","optional":true,"field":"user_id"},{"type":"int32","optional":true,"field":"product_id"},{"type":"int32","optional":true,"field":"qty"},{"type":"int32","optional":true,"field":"total_price"},{"type":"int32","optional":true,"field":"unit_price"}],"optional":false,"name":"orders"},"payload":{"id":1,"user_id":1,"product_id":1,"qty":5,"total_price":6000,"unit_price":1200}}"#;
    sink.put(vec![(None, Some(record.to_owned()))])
        .await
        .unwrap();
    let columns = [
        "id",
        "user_id",
        "product_id",
        "qty",
        "total_price",
        "unit_price",
    ];
    assert_eq!(sink.rows("orders", &columns).await, ["1|1|1|5|6000|1200"]);
}

// case 55, case 56
/// A delete between two writes of one key resets what the second does not name.
pub(crate) async fn a_tombstone_between_writes_is_not_lost(url: &str) {
    let keys = [&BY_RECORD_KEY[..], &[("delete.enabled", "true")]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let (id, note) = (sink.quoted("id"), sink.quoted("note"));
    sink.run(&format!(
        "CREATE TABLE orders ({id} VARCHAR(9) PRIMARY KEY, name VARCHAR(9), {note} VARCHAR(9) DEFAULT 'new')"
    ))
    .await;
    let write = |id: &str, name: &str| keyed(json!(id), &["name:string?"], json!({"name": name}));
    sink.put(vec![write("a", "1"), write("b", "1")])
        .await
        .unwrap();
    sink.run(&format!("UPDATE orders SET {note} = 'old'")).await;
    let gone = tombstone(json!("a"));
    sink.put(vec![
        write("a", "2"),
        gone,
        write("a", "3"),
        write("b", "2"),
    ])
    .await
    .unwrap();
    let rows = sink.rows("orders", &["id", "name", "note"]).await;
    assert_eq!(rows, ["a|3|new", "b|2|old"]);
}

/// A key whose texts differ only by case is one key where the database says so.
pub(crate) async fn keys_are_equal_as_the_database_says(url: &str) {
    let keys = [&BY_RECORD_KEY[..], &[("delete.enabled", "true")]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let write = |id: &str, name: &str| keyed(json!(id), &["name:string?"], json!({"name": name}));
    sink.put(vec![
        write("a", "1"),
        tombstone(json!("A")),
        write("b", "2"),
    ])
    .await
    .unwrap();
    let rows = sink.rows("orders", &["id", "name"]).await;
    match sink.db.get_database_backend() {
        DatabaseBackend::MySql => assert_eq!(rows, ["b|2"]),
        _ => assert_eq!(rows, ["a|1", "b|2"]),
    }
}

// case 45
/// Two decimals that are one number are one key, although their digits differ.
pub(crate) async fn equal_numbers_are_one_key(url: &str) {
    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    let record = |id: f64, text: &str| {
        let (schema, payload) = (
            schema(&["id:Decimal!", "name:string?"]),
            json!({"id": id, "name": "x"}),
        );
        let json = envelope(&schema, &payload).unwrap();
        (
            None,
            Some(json.replace("\"id\":1.5", &format!("\"id\":{text}"))),
        )
    };
    sink.put(vec![record(1.5, "1.5"), record(1.5, "1.50")])
        .await
        .unwrap();
    assert_eq!(sink.rows("orders", &["name"]).await, ["x"]);
}

/// Update mode changes rows that are there and adds none.
pub(crate) async fn an_update_changes_only_what_is_there(url: &str) {
    let keys = [
        ("insert.mode", "update"),
        ("pk.mode", "record_value"),
        ("pk.fields", "id"),
    ];
    let mut sink = Sink::confluent(url, &keys).await;
    sink.run("CREATE TABLE orders (id BIGINT PRIMARY KEY, name VARCHAR(9), n INT)")
        .await;
    sink.run("INSERT INTO orders (id, name, n) VALUES (1, 'a', 7), (3, 'c', 8)")
        .await;
    sink.put(vec![named(1, "x"), named(2, "y"), named(1, "z")])
        .await
        .unwrap();
    let rows = sink.rows("orders", &["id", "name", "n"]).await;
    assert_eq!(rows, ["1|z|7", "3|c|8"]);
    let mut keyless = Sink::confluent(url, &[("insert.mode", "update")]).await;
    let error = keyless.put(vec![named(1, "a")]).await.unwrap_err();
    assert!(
        error.contains("in UPDATE mode requires key field names"),
        "{error}"
    );
}

// case 47
/// Only the named fields become columns, and the key's always.
pub(crate) async fn fields_can_be_chosen(url: &str) {
    let keys = [&UPSERT_BY_ID[..], &[("fields.whitelist", "name")]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let fields = ["id:int64!", "name:string?", "secret:string?"];
    let record = |id: i64| value(&fields, json!({"id": id, "name": "a", "secret": "s"}));
    sink.put(vec![record(1)]).await.unwrap();
    assert_eq!(sink.columns("orders").await, ["id", "name"]);
    let keys = [
        ("schema.evolution", "basic"),
        ("field.exclude.list", "other:name, ORDERS:se.*"),
        ("collection.name.format", "dbz"),
    ];
    let mut sink = Sink::new(url, DEBEZIUM, &keys).await;
    sink.put(vec![record(1)]).await.unwrap();
    assert_eq!(sink.columns("dbz").await, ["id", "name"]);
}

// case 9
/// Columns that only the key has come last, by name.
pub(crate) async fn columns_of_the_key_come_last(url: &str) {
    let keys = [("insert.mode", "upsert"), ("pk.mode", "record_key")];
    let mut sink = Sink::confluent(url, &keys).await;
    let key = envelope(&schema(&["y:int64!", "b:int64!"]), &json!({"y": 1, "b": 2}));
    let value = envelope(&schema(&["z:int32?", "a:int32?"]), &json!({"a": 3, "z": 4}));
    sink.put(vec![(key, value)]).await.unwrap();
    assert_eq!(sink.columns("orders").await, ["z", "a", "b", "y"]);
}

// case 4
/// A null stays one where both converter and sink are told so.
pub(crate) async fn a_null_can_be_kept_from_its_default(url: &str) {
    let kept = ("value.converter.replace.null.with.default", "false");
    let fields = ["id:int64!", "n:int32?=100"];
    let record = |id: i64| value(&fields, json!({"id": id, "n": null}));
    let mut sink = Sink::confluent(url, &[kept, ("replace.null.with.default", "false")]).await;
    sink.put(vec![record(1)]).await.unwrap();
    let mut sink = Sink::confluent(url, &[kept]).await;
    sink.put(vec![record(2)]).await.unwrap();
    let mut debezium = Sink::new(url, DEBEZIUM, &[kept]).await;
    debezium.put(vec![record(3)]).await.unwrap();
    assert_eq!(
        sink.rows("orders", &["id", "n"]).await,
        ["1|NULL", "2|100", "3|NULL"]
    );
}

// case 18, case 19
/// Bytes beyond what the column holds are refused; digits beyond its scale are rounded.
pub(crate) async fn long_bytes_and_exact_decimals(url: &str) {
    let mut sink = Sink::confluent(url, &[]).await;
    let fields = ["id:int64!", "by:bytes?", "dec:Decimal?"];
    let decimal = value(&fields, json!({"id": 1, "dec": 1.567}));
    sink.put(vec![decimal]).await.unwrap();
    let rounded = if sink.is(DatabaseBackend::MySql) {
        "1|1.57"
    } else {
        "1|1.567"
    };
    assert_eq!(sink.rows("orders", &["id", "dec"]).await, [rounded]);
    let long = value(&fields, json!({"id": 2, "by": "AAAA".repeat(700)}));
    let written = sink.put(vec![long]).await;
    assert_eq!(
        written.is_err(),
        sink.is(DatabaseBackend::MySql),
        "{written:?}"
    );
}

// case 21, case 22
/// The wall clock of the database's zone, dates too unless they are left in UTC.
pub(crate) async fn times_follow_the_databases_zone(url: &str) {
    let fields = ["id:int64!", "ts:Timestamp!", "t:Time!", "d:Date!"];
    let record = |id: i64| {
        value(
            &fields,
            json!({"id": id, "ts": 1_474_661_402_123_i64, "t": 73_802_123, "d": 17_067}),
        )
    };
    let zone = ("db.timezone", "America/New_York");
    let mut sink = Sink::confluent(url, &[zone]).await;
    sink.put(vec![record(1)]).await.unwrap();
    let mut sink = Sink::confluent(url, &[zone, ("date.timezone", "UTC")]).await;
    sink.put(vec![record(2)]).await.unwrap();
    let rows = sink.rows("orders", &["id", "ts", "t", "d"]).await;
    if sink.is(DatabaseBackend::Sqlite) {
        let same = "2016-09-23T20:10:02.123+00:00|20:30:02.123|2016-09-23";
        assert_eq!(rows, [format!("1|{same}"), format!("2|{same}")]);
    } else {
        let same = "2016-09-23 16:10:02.123|15:30:02.123";
        assert_eq!(
            rows,
            [
                format!("1|{same}|2016-09-22"),
                format!("2|{same}|2016-09-23")
            ]
        );
    }
}

/// Numbers and text that are points in time, to the microsecond.
pub(crate) async fn named_fields_are_timestamps(url: &str) {
    let mut sink = Sink::confluent(url, &[("timestamp.fields.list", "at,said")]).await;
    let fields = ["id:int64!", "at:int64?", "said:string?"];
    let micros = 1_474_661_402_123_456_i64;
    let full = json!({"id": 1, "at": micros, "said": "2016-09-23T22:10:02.123456+02:00"});
    let nothing = value(&fields, json!({"id": 2}));
    sink.put(vec![value(&fields, full), nothing]).await.unwrap();
    let time = match sink.db.get_database_backend() {
        DatabaseBackend::Sqlite => "2016-09-23T20:10:02.123456+00:00",
        _ => "2016-09-23 20:10:02.123456",
    };
    let rows = sink.rows("orders", &["id", "at", "said"]).await;
    assert_eq!(rows, [format!("1|{time}|{time}"), "2|NULL|NULL".to_owned()]);
    let wrong = value(&fields, json!({"id": 3, "said": "yesterday"}));
    let error = sink.put(vec![wrong]).await.unwrap_err();
    assert!(
        error.contains("in field \"said\" is not a point in time"),
        "{error}"
    );
}

/// A value of text goes into one column.
pub(crate) async fn text_goes_into_one_column(url: &str) {
    let converter = (
        "value.converter",
        "org.apache.kafka.connect.storage.StringConverter",
    );
    let column = ("string.output.value.column.name", "line");
    let keys = [&BY_RECORD_KEY[..], &[converter, column]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let line = |key: i64, text: &str| (key_of(json!(key)), Some(text.to_owned()));
    sink.put(vec![line(1, "a"), line(2, "{}"), line(1, "b")])
        .await
        .unwrap();
    assert_eq!(sink.rows("orders", &["id", "line"]).await, ["1|b", "2|{}"]);
    let filtered = [&keys[..], &[("fields.whitelist", "x")]].concat();
    let mut sink = Sink::confluent(url, &filtered).await;
    let error = sink.put(vec![line(1, "a")]).await.unwrap_err();
    assert!(
        error.contains("fields.whitelist not applicable to String values"),
        "{error}"
    );
}

// case 75
/// Without quotes the database folds names as it likes; what is no plain name is quoted.
pub(crate) async fn names_can_go_without_quotes(url: &str) {
    let mut sink = Sink::confluent(url, &[("quote.sql.identifiers", "never")]).await;
    let fields = ["Id:int64!", "a) VALUES (1); --:string?"];
    let record = || value(&fields, json!({"Id": 1}));
    sink.put_into("Orders", vec![record()]).await.unwrap();
    sink.put_into("Orders", vec![record()]).await.unwrap();
    let (table, id) = match sink.db.get_database_backend() {
        DatabaseBackend::Postgres => ("orders", "id"),
        _ => ("Orders", "Id"),
    };
    assert_eq!(sink.columns(table).await, [id, "a) VALUES (1); --"]);
    assert_eq!(sink.rows(table, &[id]).await, ["1", "1"]);
}

/// A view is written to only if it is asked for, and never altered.
pub(crate) async fn views_are_written_to_on_request(url: &str) {
    let mut sink = Sink::confluent(url, &[]).await;
    sink.run("CREATE TABLE base (id BIGINT PRIMARY KEY, name VARCHAR(9))")
        .await;
    sink.run("CREATE VIEW orders AS SELECT id, name FROM base")
        .await;
    let error = sink.put(vec![named(1, "a")]).await.unwrap_err();
    assert!(
        error.contains("is a VIEW, which table.types does not name"),
        "{error}"
    );
    let keys = [("table.types", "TABLE,VIEW"), ("auto.evolve", "true")];
    let mut sink = Sink::confluent(url, &keys).await;
    let wider = value(&["id:int64!", "x:int32?"], json!({"id": 1}));
    let error = sink.put(vec![wider]).await.unwrap_err();
    assert!(error.ends_with("and a view cannot be altered"), "{error}");
    if !sink.is(DatabaseBackend::Sqlite) {
        sink.put(vec![named(1, "a")]).await.unwrap();
        assert_eq!(sink.rows("base", &["id", "name"]).await, ["1|a"]);
    }
}

// case 51
/// A row per statement.
pub(crate) async fn a_batch_size_of_zero_is_one(url: &str) {
    let keys = [&UPSERT_BY_ID[..], &[("batch.size", "0")]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    sink.put(vec![named(1, "a"), named(2, "b")]).await.unwrap();
    assert_eq!(sink.rows("orders", &["id"]).await, ["1", "2"]);
}

// case 73
/// Confluent reads a schema in a topic's dot, unless Aiven is told to normalize it.
pub(crate) async fn aivens_table_names(url: &str) {
    let keys = [
        ("auto.create", "true"),
        ("table.name.normalize", "true"),
        ("topics.to.tables.mapping", "c.d:mapped"),
        ("insert.mode", "multi"),
    ];
    let mut sink = Sink::new(url, AIVEN, &keys).await;
    sink.put_into("a.b-c", vec![named(1, "a")]).await.unwrap();
    sink.put_into("c.d", vec![named(2, "b")]).await.unwrap();
    assert_eq!(sink.rows("a_b_c", &["id"]).await, ["1"]);
    assert_eq!(sink.rows("mapped", &["id"]).await, ["2"]);
    let mut sink = Sink::confluent(url, &[]).await;
    sink.put_into("no_such.b", vec![named(1, "a")])
        .await
        .unwrap_err();
}

// case 81
/// What the converter makes up a value for, strict conversion refuses.
pub(crate) async fn strict_conversion_makes_nothing_up(url: &str) {
    let fields = ["id:int8!", "n:int32?"];
    let wrapped = || value(&fields, json!({"id": 300, "n": "12"}));
    let mut sink = Sink::confluent(url, &[]).await;
    sink.put(vec![wrapped()]).await.unwrap();
    assert_eq!(sink.rows("orders", &["id", "n"]).await, ["44|0"]);
    let mut strict = Sink::confluent(url, &[("value.converter.strict", "true")]).await;
    let error = strict.put(vec![wrapped()]).await.unwrap_err();
    assert!(
        error.contains("strict conversion refuses 300 in field \"id\""),
        "{error}"
    );
    let error = sink
        .put(vec![value(&fields, json!({"n": 1}))])
        .await
        .unwrap_err();
    assert!(
        error.contains("Invalid null value for required INT8 field"),
        "{error}"
    );
    assert_eq!(sink.rows("orders", &["id"]).await, ["44"]);
}

// case 67
/// A column's type is never changed.
pub(crate) async fn a_field_that_changes_its_type_does_not_change_the_column(url: &str) {
    let keys = [&UPSERT_BY_ID[..], &[("auto.evolve", "true")]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let number = value(&["id:int64!", "n:int32?"], json!({"id": 1, "n": 7}));
    let text = |id: i64, n: &str| value(&["id:int64!", "n:string?"], json!({"id": id, "n": n}));
    sink.put(vec![number]).await.unwrap();
    let written = sink.put(vec![text(2, "12"), text(3, "abc")]).await;
    let rows = sink.rows("orders", &["id", "n"]).await;
    match sink.db.get_database_backend() {
        DatabaseBackend::Sqlite => assert_eq!(rows, ["1|7", "2|12", "3|abc"]),
        _ => {
            written.unwrap_err();
            assert_eq!(rows, ["1|7"]);
        }
    }
}

/// Bad records are left out where the configuration says so, and only they.
pub(crate) async fn bad_records_can_be_skipped(url: &str) {
    let garbage = || (None, Some("{".to_owned()));
    let tolerant = [("errors.tolerance", "all")];
    let keys = [&UPSERT_BY_ID[..], &tolerant].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let written = sink
        .put(vec![named(1, "a"), garbage(), named(2, "b")])
        .await
        .unwrap();
    assert_eq!((written.records, written.dead_letters), (3, 0));
    let inserts = [
        ("pk.mode", "record_value"),
        ("pk.fields", "id"),
        tolerant[0],
    ];
    let mut sink = Sink::confluent(url, &inserts).await;
    sink.put(vec![named(1, "a")]).await.unwrap_err();
    let logged = [&inserts[..], &[("errors.log.enable", "true")]].concat();
    let mut sink = Sink::confluent(url, &logged).await;
    sink.put(vec![named(1, "twice"), named(3, "c")])
        .await
        .unwrap();
    assert_eq!(
        sink.rows("orders", &["id", "name"]).await,
        ["1|a", "2|b", "3|c"]
    );
}

/// Large rows share statements only as far as one statement can carry them; what is larger
/// than that is bad data, and the connection lives on.
pub(crate) async fn large_rows_fit_or_are_refused(url: &str) {
    let mut sink = Sink::confluent(url, &UPSERT_BY_ID).await;
    let text = if sink.is(DatabaseBackend::MySql) {
        "LONGTEXT"
    } else {
        "TEXT"
    };
    sink.run(&format!(
        "CREATE TABLE orders (id BIGINT PRIMARY KEY, name {text})"
    ))
    .await;
    let megabyte = "x".repeat(1 << 20);
    let records = (0..24).map(|id| named(id, &megabyte));
    sink.put(records.collect()).await.unwrap();
    let written = sink.put(vec![named(50, &megabyte.repeat(20))]).await;
    assert_eq!(
        written.is_err(),
        sink.is(DatabaseBackend::MySql),
        "{written:?}"
    );
    if let Err(error) = written {
        assert!(
            error.contains("orders-0@24") && error.contains("larger than"),
            "{error}"
        );
    }
    sink.put(vec![named(60, "a")]).await.unwrap();
    let rows = sink.rows("orders", &["id"]).await;
    assert_eq!(
        rows.len(),
        if sink.is(DatabaseBackend::MySql) {
            25
        } else {
            26
        }
    );
}

/// No record is written wrongly, and none ends the process, whatever its bytes.
pub(crate) async fn no_bytes_are_too_strange(url: &str) {
    let fields = [
        "id:int64!",
        "d:Date?",
        "ts:Timestamp?",
        "dec:Decimal?",
        "s:string?",
        "f:float?",
        "by:bytes?",
    ];
    let keys = [
        &UPSERT_BY_ID[..],
        &[("errors.tolerance", "all"), ("errors.log.enable", "true")],
    ]
    .concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let whole = value(&fields, json!({"id": 1, "s": "ok"}));
    sink.put(vec![whole]).await.unwrap();
    let huge = "9".repeat(200);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bytes = "ABCD".repeat(50_000);
    for (field, json) in [
        ("d", "2147483647"),
        ("d", "-2147483648"),
        ("ts", "9223372036854775807"),
        ("ts", "253402300800000000"),
        ("dec", "1e999999999"),
        ("dec", &huge),
        ("dec", &format!("\"{bytes}\"")),
        ("s", "\"\\u0000\""),
        ("s", "\"\\ud800\""),
        ("f", "1e999"),
        ("by", "\"!\""),
        ("s", &deep),
    ] {
        let payload = format!("{{\"id\":2,\"{field}\":{json}}}");
        let record = format!("{{\"schema\":{},\"payload\":{payload}}}", schema(&fields));
        sink.put(vec![(None, Some(record))]).await.unwrap();
    }
    let strange = ["", "null", "[]", "{\"schema\":{}}", "\u{0}", &deep];
    let strange = strange.map(|record| (None, Some(record.to_owned())));
    let written = sink.put(strange.to_vec()).await.unwrap();
    assert_eq!(written.records, 6);
    let scale = json!({"type": "struct", "fields": [
        {"type": "int64", "field": "id"},
        {"type": "bytes", "field": "dec", "name": "org.apache.kafka.connect.data.Decimal",
            "parameters": {"scale": "2000000000"}}]});
    let record = envelope(&scale, &json!({"id": 3, "dec": "AJw="}));
    sink.put(vec![(None, record)]).await.unwrap();
    assert_eq!(sink.rows("orders", &["id", "s"]).await[0], "1|ok");
}

// case 14
/// A map has no column type, whatever it holds.
pub(crate) async fn maps_are_refused(url: &str) {
    let mut sink = Sink::confluent(url, &[]).await;
    let text = json!({"type": "string"});
    let fields = json!([{"type": "map", "field": "m", "keys": text, "values": text}]);
    let schema = json!({"type": "struct", "fields": fields});
    let record = (None, envelope(&schema, &json!({"m": {"a": "b"}})));
    assert_eq!(
        sink.put(vec![record]).await.unwrap_err(),
        "null (MAP) type doesn't have a mapping to the SQL database column type"
    );
}

// case 34
/// Kafka's coordinates go into columns of any names.
pub(crate) async fn coordinates_have_names_of_their_own(url: &str) {
    let keys = [("pk.mode", "kafka"), ("pk.fields", "t,p,o")];
    let mut sink = Sink::confluent(url, &keys).await;
    sink.run("CREATE TABLE orders (t VARCHAR(9), p INT, o BIGINT, id BIGINT, name VARCHAR(9))")
        .await;
    sink.put(vec![named(1, "a"), named(1, "b")]).await.unwrap();
    let rows = sink.rows("orders", &["t", "p", "o", "name"]).await;
    assert_eq!(rows, ["orders|0|0|a", "orders|0|1|b"]);
}

// case 60
/// Nothing can be deleted without a key.
pub(crate) async fn a_tombstone_needs_a_key(url: &str) {
    let keys = [&BY_RECORD_KEY[..], &[("delete.enabled", "true")]].concat();
    let mut sink = Sink::confluent(url, &keys).await;
    let error = sink.put(vec![(None, None)]).await.unwrap_err();
    assert!(
        error.contains("'delete.enabled=true'") && error.contains("with a null key"),
        "{error}"
    );
}

/// A test per case, in a module of its own.
#[macro_export]
macro_rules! cases {
    ($database:ident, $run:path) => {
        $crate::cases!($database, $run;
            a_tombstone_between_writes_is_not_lost,
            a_created_table_is_declared_as_confluents_is,
            a_second_attempt_writes_only_what_the_first_has_not,
            a_time_of_debeziums_own_is_refused,
            a_dropped_table_that_may_not_be_created_is_told,
            a_tombstone_needs_a_key,
            bytes_have_their_default,
            coordinates_have_names_of_their_own,
            maps_are_refused,
            keys_are_equal_as_the_database_says,
            equal_numbers_are_one_key,
            an_update_changes_only_what_is_there,
            fields_can_be_chosen,
            columns_of_the_key_come_last,
            a_null_can_be_kept_from_its_default,
            long_bytes_and_exact_decimals,
            times_follow_the_databases_zone,
            named_fields_are_timestamps,
            text_goes_into_one_column,
            names_can_go_without_quotes,
            views_are_written_to_on_request,
            a_batch_size_of_zero_is_one,
            aivens_table_names,
            strict_conversion_makes_nothing_up,
            a_field_that_changes_its_type_does_not_change_the_column,
            bad_records_can_be_skipped,
            large_rows_fit_or_are_refused,
            no_bytes_are_too_strange,
            a_dot_in_a_topic_becomes_an_underscore_for_debezium,
            a_dropped_table_comes_back,
            a_failed_batch_leaves_nothing,
            a_large_batch_is_cut_into_statements,
            a_missing_table_is_an_error_where_none_may_be_created,
            a_missing_table_is_created_from_the_schema,
            a_primitive_key_needs_one_column,
            a_table_grows_with_its_records,
            a_tombstone_deletes_its_row,
            a_tombstone_without_deletes_changes_nothing,
            an_upsert_needs_a_key,
            coordinates_can_be_the_key,
            defaults_are_written_and_declared,
            existing_columns_decide_how_values_are_bound,
            names_keep_their_case,
            nested_values_are_refused,
            records_of_the_wrong_shape_are_refused,
            the_key_can_come_from_the_records_key,
            the_last_record_of_a_key_wins,
            the_tutorials_order_is_taken,
            transforms_set_keys_and_names,
            values_of_every_type_arrive,
            values_of_the_wrong_type_are_converted_or_refused,
            what_a_column_cannot_hold_is_bad_data,
            what_a_table_refuses_by_its_own_rules_is_bad_data,
            without_key_fields_all_fields_are_the_key,
        );
    };
    ($database:ident, $run:path; $($case:ident),+ $(,)?) => {
        mod $database {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                $run(async |url: String| $crate::common::$case(&url).await).await;
            })+
        }
    };
}
