//! How tables are declared, and what existing columns make of values.

use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};
use serde_json::{Value, json};

use super::{BY_RECORD_KEY, Sink, UPSERT_BY_ID, keyed, named, value};

impl Sink {
    /// A table's columns as the database declares them.
    async fn declared(&self, table: &str) -> Vec<String> {
        let backend = self.db.get_database_backend();
        let sql = match backend {
            DatabaseBackend::Postgres => format!(
                "SELECT attname || ' ' || format_type(atttypid, atttypmod) \
                 || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END FROM pg_attribute \
                 WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
            ),
            DatabaseBackend::Sqlite => format!(
                "SELECT name || ' ' || type || CASE WHEN \"notnull\" THEN ' NOT NULL' ELSE '' END \
                 FROM pragma_table_info('{table}')"
            ),
            _ => format!(
                "SELECT CONCAT(column_name, ' ', column_type, \
                 IF(is_nullable = 'NO', ' NOT NULL', '')) FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"
            ),
        };
        let rows = self.db.query_all_raw(Statement::from_string(backend, sql));
        let rows = rows.await.unwrap();
        rows.iter()
            .map(|row| row.try_get_by_index(0).unwrap())
            .collect()
    }

    /// Of three, the one for this sink's database.
    fn of<T>(&self, [mariadb, postgres, sqlite]: [T; 3]) -> T {
        match self.db.get_database_backend() {
            DatabaseBackend::Postgres => postgres,
            DatabaseBackend::Sqlite => sqlite,
            _ => mariadb,
        }
    }
}

/// 1, 2, 31, 32, 33: names, types and what may be null, on each database.
pub(crate) async fn a_created_table_is_declared_as_confluents_is(url: &str) {
    const TYPES: [(&str, [&str; 3]); 13] = [
        ("int8!", ["tinyint(4)", "smallint", "INTEGER"]),
        ("int16!", ["smallint(6)", "smallint", "INTEGER"]),
        ("int32!", ["int(11)", "integer", "INTEGER"]),
        ("int64!", ["bigint(20)", "bigint", "INTEGER"]),
        ("float!", ["float", "real", "REAL"]),
        ("double!", ["double", "double precision", "REAL"]),
        ("boolean!", ["tinyint(4)", "boolean", "INTEGER"]),
        ("string!", ["text", "text", "TEXT"]),
        ("bytes!", ["varbinary(1024)", "bytea", "BLOB"]),
        ("Decimal!", ["decimal(65,2)", "numeric", "NUMERIC"]),
        ("Date!", ["date", "date", "TEXT"]),
        ("Time!", ["time(3)", "time without time zone", "TEXT"]),
        (
            "Timestamp!",
            ["datetime(3)", "timestamp without time zone", "TEXT"],
        ),
    ];
    let mut sink = Sink::confluent(url, &[]).await;
    let fields: Vec<_> = TYPES
        .iter()
        .enumerate()
        .map(|(index, (kind, _))| format!("c{index}:{kind}"))
        .chain(["o:int32?".to_owned()])
        .collect();
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    let payload = json!({
        "c0": 1, "c1": 1, "c2": 1, "c3": 1, "c4": 0.5, "c5": 0.5, "c6": true, "c7": "a",
        "c8": "YWJj", "c9": "AJw=", "c10": 1, "c11": 1, "c12": 1,
    });
    sink.put(vec![value(&fields, payload)]).await.unwrap();
    let expected = TYPES.iter().enumerate().map(|(index, (_, types))| {
        let declared = sink.of(*types);
        format!("c{index} {declared} NOT NULL")
    });
    let optional = format!("o {}", sink.of(["int(11)", "integer", "INTEGER"]));
    let expected: Vec<_> = expected.chain([optional]).collect();
    assert_eq!(sink.declared("orders").await, expected);

    for (topic, key, declared) in [
        ("by_number", json!(1), ["bigint(20)", "bigint", "INTEGER"]),
        ("by_text", json!("a"), ["varchar(255)", "text", "TEXT"]),
    ] {
        let mut sink = Sink::confluent(url, &BY_RECORD_KEY).await;
        let record = keyed(key, &["qty:int32?"], json!({"qty": 1}));
        sink.put_into(topic, vec![record]).await.unwrap();
        let id = format!("id {} NOT NULL", sink.of(declared));
        assert_eq!(sink.declared(topic).await[1], id);
    }

    let mut sink = Sink::confluent(url, &[("pk.mode", "kafka")]).await;
    sink.put_into("by_place", vec![named(1, "a")])
        .await
        .unwrap();
    let places = ["__connect_topic", "__connect_partition", "__connect_offset"];
    let mut columns = sink.columns("by_place").await;
    columns.sort();
    for place in places {
        assert!(columns.iter().any(|column| column == place), "{columns:?}");
    }
}

/// 7: what no row says is what the schema says, in bytes too.
pub(crate) async fn bytes_have_their_default(url: &str) {
    let mut sink = Sink::confluent(url, &[]).await;
    let fields = ["id:int64!", "by:bytes?=\"4Hw=\""];
    let record = value(&fields, json!({"id": 1}));
    sink.put(vec![record]).await.unwrap();
    let (id, by) = (sink.quoted("id"), sink.quoted("by"));
    sink.run(&format!("INSERT INTO orders ({id}) VALUES (2)"))
        .await;
    let hex = sink.of([
        format!("HEX({by})"),
        format!("upper(encode({by}, 'hex'))"),
        format!("hex({by})"),
    ]);
    let sql = format!("SELECT {hex} AS r FROM orders");
    let statement = Statement::from_string(sink.db.get_database_backend(), sql);
    let rows = sink.db.query_all_raw(statement).await.unwrap();
    let rows: Vec<String> = rows
        .iter()
        .map(|row| row.try_get("", "r").unwrap())
        .collect();
    assert_eq!(rows, ["E07C", "E07C"]);
}

/// 72: a table that is gone, and is not to be made by us.
pub(crate) async fn a_dropped_table_that_may_not_be_created_is_told(url: &str) {
    let keys = [&UPSERT_BY_ID[..], &[("auto.create", "false")]].concat();
    let mut sink = Sink::new(url, super::CONFLUENT, &keys).await;
    sink.run("CREATE TABLE orders (id BIGINT PRIMARY KEY, name VARCHAR(9))")
        .await;
    sink.put(vec![named(1, "a")]).await.unwrap();
    sink.run("DROP TABLE orders").await;
    let error = sink.put(vec![named(2, "b")]).await.unwrap_err();
    assert!(error.starts_with("Structure"), "{error}");
    let error = sink.put(vec![named(2, "b")]).await.unwrap_err();
    assert!(
        error.ends_with("is missing and auto-creation is disabled"),
        "{error}"
    );
}

/// A column's type, a field's, the value as JSON, and what is stored on each database; `None`:
/// refused.
type WrongType = (
    &'static str,
    &'static str,
    &'static str,
    [Option<&'static str>; 3],
);

const WRONG_TYPES: [WrongType; 9] = [
    ("INT", "string?", r#""12""#, [Some("12"), None, Some("12")]),
    ("INT", "string?", r#""abc""#, [None, None, Some("abc")]),
    (
        "DATE",
        "string?",
        r#""2016-13-45""#,
        [None, None, Some("2016-13-45")],
    ),
    ("VARCHAR(9)", "int64?", "5", [Some("5"); 3]),
    ("SMALLINT", "int32?", "70000", [None, None, Some("70000")]),
    (
        "VARCHAR(3)",
        "string?",
        r#""abcdef""#,
        [None, None, Some("abcdef")],
    ),
    (
        "INT",
        "int64?",
        "3000000000",
        [None, None, Some("3000000000")],
    ),
    (
        "REAL",
        "string?",
        r#""0.5""#,
        [Some("0.5"), None, Some("0.5")],
    ),
    (
        "VARCHAR(9)",
        "boolean?",
        "true",
        [Some("1"), Some("true"), Some("1")],
    ),
];

/// A value that its column has no type for is told, or kept to the letter: never changed in
/// silence.
pub(crate) async fn values_of_the_wrong_type_are_converted_or_refused(url: &str) {
    let sink = Sink::confluent(url, &[]).await;
    for (column, field, given, stored) in WRONG_TYPES {
        let name = sink.quoted("c");
        sink.run(&format!("CREATE TABLE orders ({name} {column})"))
            .await;
        let mut fresh = Sink::confluent(url, &[]).await;
        let given: Value = serde_json::from_str(given).unwrap();
        let record = value(&[&format!("c:{field}")], json!({"c": given}));
        let written = fresh.put(vec![record]).await;
        let rows = sink.rows("orders", &["c"]).await;
        match sink.of(stored) {
            Some(stored) => assert_eq!(rows, [stored], "{column} {given}: {written:?}"),
            None => assert!(
                written.is_err() && rows.is_empty(),
                "{column} {given}: {rows:?}"
            ),
        }
        sink.run("DROP TABLE orders").await;
    }
}
