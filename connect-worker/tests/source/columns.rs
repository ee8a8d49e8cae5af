//! Every column type of each database becomes the field, and the JSON, that Kafka's
//! JsonConverter makes of what Confluent's source reads.

use std::fmt::Write as _;

use serde_json::json;

use crate::{World, eventually, on_mariadb, on_postgres, on_sqlite, values_of};

/// A column's declaration, its field's schema, and two values: as SQL and as JSON.
type Column = (&'static str, Field, [(&'static str, &'static str); 2]);

/// Type and logical name, `!` in front where the column cannot be null.
type Field = &'static str;

const NULL: (&str, &str) = ("null", "null");

const MARIADB: &[Column] = &[
    (
        "tinyint not null",
        "!int8",
        [("-128", "-128"), ("127", "127")],
    ),
    ("tinyint unsigned", "int16", [("255", "255"), NULL]),
    ("boolean", "int8", [("true", "1"), NULL]),
    (
        "smallint not null",
        "!int16",
        [("-32768", "-32768"), ("0", "0")],
    ),
    ("smallint unsigned", "int32", [("65535", "65535"), NULL]),
    ("mediumint", "int32", [("-8388608", "-8388608"), NULL]),
    (
        "mediumint unsigned",
        "int64",
        [("16777215", "16777215"), NULL],
    ),
    ("int", "int32", [("-2147483648", "-2147483648"), NULL]),
    (
        "int unsigned",
        "int64",
        [("4294967295", "4294967295"), NULL],
    ),
    (
        "bigint not null",
        "!int64",
        [
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
        ],
    ),
    (
        "bigint unsigned",
        "int64",
        [("9223372036854775807", "9223372036854775807"), NULL],
    ),
    ("float", "float", [("0.1", "0.1"), NULL]),
    (
        "double not null",
        "!double",
        [("0.1", "0.1"), ("-1.25", "-1.25")],
    ),
    (
        "decimal(10,2) not null",
        "!Decimal 2",
        [("1.56", "\"AJw=\""), ("-1.5", "\"/2o=\"")],
    ),
    ("decimal(5)", "Decimal 0", [("12345", "\"MDk=\""), NULL]),
    (
        "numeric(30,10)",
        "Decimal 10",
        [("0.0000000001", "\"AQ==\""), NULL],
    ),
    ("bit", "int8", [("b'1'", "1"), NULL]),
    ("bit(12)", "bytes", [("b'000100000101'", "\"AQU=\""), NULL]),
    ("char(3)", "string", [("'a'", "\"a\""), NULL]),
    (
        "varchar(10) not null",
        "!string",
        [("'ü\"'", "\"ü\\\"\""), ("''", "\"\"")],
    ),
    ("tinytext", "string", [("'a'", "\"a\""), NULL]),
    ("text", "string", [("'a'", "\"a\""), NULL]),
    ("mediumtext", "string", [("'a'", "\"a\""), NULL]),
    ("longtext", "string", [("'a'", "\"a\""), NULL]),
    ("enum('x','unsigned')", "string", [("'x'", "\"x\""), NULL]),
    ("set('x','y')", "string", [("'x,y'", "\"x,y\""), NULL]),
    (
        "json",
        "string",
        [("'{\"a\": 1}'", "\"{\\\"a\\\": 1}\""), NULL],
    ),
    (
        "uuid",
        "string",
        [
            (
                "'0193b5a0-0000-7000-8000-000000000001'",
                "\"0193b5a0-0000-7000-8000-000000000001\"",
            ),
            NULL,
        ],
    ),
    ("inet6", "string", [("'::1'", "\"::1\""), NULL]),
    ("binary(3)", "bytes", [("'a'", "\"YQAA\""), NULL]),
    ("varbinary(5)", "bytes", [("'abc'", "\"YWJj\""), NULL]),
    ("tinyblob", "bytes", [("'abc'", "\"YWJj\""), NULL]),
    ("blob", "bytes", [("''", "\"\""), NULL]),
    ("mediumblob", "bytes", [("'abc'", "\"YWJj\""), NULL]),
    ("longblob", "bytes", [("x'00ff'", "\"AP8=\""), NULL]),
    (
        "point",
        "bytes",
        [
            ("point(0, 0)", "\"AAAAAAEBAAAAAAAAAAAAAAAAAAAAAAAAAA==\""),
            NULL,
        ],
    ),
    (
        "date not null",
        "!Date",
        [("'2016-09-23'", "17067"), ("'1969-12-31'", "-1")],
    ),
    ("year", "Date", [("1971", "365"), NULL]),
    ("time", "Time", [("'20:30:02'", "73802000"), NULL]),
    ("time(3)", "Time", [("'20:30:02.123'", "73802123"), NULL]),
    (
        "datetime",
        "Timestamp",
        [("'2021-08-01 11:04:17'", "1627815857000"), NULL],
    ),
    (
        "datetime(3)",
        "Timestamp",
        [("'2021-08-01 11:04:17.123'", "1627815857123"), NULL],
    ),
    (
        "datetime(6)",
        "Timestamp",
        [("'1969-12-31 23:59:59.999999'", "-1"), NULL],
    ),
    (
        "timestamp not null default now()",
        "!Timestamp",
        [
            ("'2021-08-01 11:04:17'", "1627815857000"),
            ("'1970-01-01 00:00:01'", "1000"),
        ],
    ),
    (
        "timestamp(6) null",
        "Timestamp",
        [("'2021-08-01 11:04:17.123456'", "1627815857123"), NULL],
    ),
    ("double precision", "double", [("1e100", "1.0E100"), NULL]),
];

const POSTGRES: &[Column] = &[
    ("boolean", "boolean", [("true", "true"), NULL]),
    (
        "smallint not null",
        "!int16",
        [("-32768", "-32768"), ("32767", "32767")],
    ),
    ("integer", "int32", [("-2147483648", "-2147483648"), NULL]),
    (
        "bigint not null",
        "!int64",
        [
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
        ],
    ),
    ("oid", "int64", [("4294967295", "4294967295"), NULL]),
    ("real", "float", [("0.1", "0.1"), NULL]),
    (
        "double precision not null",
        "!double",
        [("0.1", "0.1"), ("-1.25", "-1.25")],
    ),
    (
        "numeric(10,2) not null",
        "!Decimal 2",
        [("1.56", "\"AJw=\""), ("-1.5", "\"/2o=\"")],
    ),
    ("numeric(5)", "Decimal 0", [("12345", "\"MDk=\""), NULL]),
    ("numeric", "Decimal 0", [("12345", "\"MDk=\""), NULL]),
    ("char(3)", "string", [("'a'", "\"a  \""), NULL]),
    (
        "varchar(10) not null",
        "!string",
        [("'ü\"'", "\"ü\\\"\""), ("''", "\"\"")],
    ),
    ("text", "string", [("'a '", "\"a \""), NULL]),
    ("name", "string", [("'a'", "\"a\""), NULL]),
    ("\"char\"", "string", [("'a'", "\"a\""), NULL]),
    ("mood", "string", [("'ok'", "\"ok\""), NULL]),
    ("positive", "int32", [("7", "7"), NULL]),
    ("required", "!string", [("'a'", "\"a\""), ("'b'", "\"b\"")]),
    ("cents", "Decimal 2", [("1.56", "\"AJw=\""), NULL]),
    (
        "json",
        "string",
        [("'{\"a\": 1}'", "\"{\\\"a\\\": 1}\""), NULL],
    ),
    (
        "jsonb",
        "string",
        [("'{\"a\":1}'", "\"{\\\"a\\\": 1}\""), NULL],
    ),
    (
        "uuid",
        "string",
        [
            (
                "'0193b5a0-0000-7000-8000-000000000001'",
                "\"0193b5a0-0000-7000-8000-000000000001\"",
            ),
            NULL,
        ],
    ),
    ("xml", "string", [("'<a/>'", "\"<a/>\""), NULL]),
    ("bit", "boolean", [("b'1'", "true"), NULL]),
    ("bytea", "bytes", [("'\\x00ff'", "\"AP8=\""), NULL]),
    (
        "date not null",
        "!Date",
        [("'2016-09-23'", "17067"), ("'1969-12-31'", "-1")],
    ),
    ("time", "Time", [("'20:30:02.123456'", "73802123"), NULL]),
    ("time(0)", "Time", [("'20:30:02'", "73802000"), NULL]),
    (
        "timestamp not null",
        "!Timestamp",
        [
            ("'2021-08-01 11:04:17.123456'", "1627815857123"),
            ("'1969-12-31 23:59:59.999'", "-1"),
        ],
    ),
    (
        "timestamp(0)",
        "Timestamp",
        [("'2021-08-01 11:04:17'", "1627815857000"), NULL],
    ),
    (
        "timestamptz",
        "Timestamp",
        [("'2021-08-01 13:04:17.123+02'", "1627815857123"), NULL],
    ),
    (
        "timestamptz(3)",
        "Timestamp",
        [("'2021-08-01 11:04:17.123Z'", "1627815857123"), NULL],
    ),
    ("bigserial", "!int64", [("5", "5"), ("6", "6")]),
    ("integer default 7", "int32", [("default", "7"), NULL]),
    ("float4", "float", [("1e10", "1.0E10"), NULL]),
];

const SQLITE: &[Column] = &[
    ("boolean", "boolean", [("1", "true"), NULL]),
    ("tinyint", "int8", [("-128", "-128"), NULL]),
    ("smallint not null", "!int16", [("300", "300"), ("0", "0")]),
    ("int", "int64", [("-2147483648", "-2147483648"), NULL]),
    (
        "bigint not null",
        "!int64",
        [
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
        ],
    ),
    ("real", "double", [("0.1", "0.1"), NULL]),
    ("double", "double", [("1e100", "1.0E100"), NULL]),
    (
        "decimal(10,2) not null",
        "!Decimal 2",
        [("1.56", "\"AJw=\""), ("-1.5", "\"/2o=\"")],
    ),
    ("numeric", "Decimal 0", [("12345", "\"MDk=\""), NULL]),
    ("text", "string", [("'ü\"'", "\"ü\\\"\""), NULL]),
    (
        "varchar(10) not null",
        "!string",
        [("'a'", "\"a\""), ("''", "\"\"")],
    ),
    ("blob", "bytes", [("x'00ff'", "\"AP8=\""), NULL]),
    ("date", "Date", [("'2016-09-23'", "17067"), NULL]),
    ("time", "Time", [("'20:30:02.123'", "73802123"), NULL]),
    (
        "datetime",
        "Timestamp",
        [("'2021-08-01 11:04:17'", "1627815857000"), NULL],
    ),
    (
        "timestamp not null",
        "!Timestamp",
        [
            ("'2021-08-01T11:04:17.123+00:00'", "1627815857123"),
            ("'1969-12-31 23:59:59.999'", "-1"),
        ],
    ),
    ("clob", "string", [("'a'", "\"a\""), NULL]),
];

fn schema(field: Field) -> String {
    let optional = !field.starts_with('!');
    let field = field.trim_start_matches('!');
    let (kind, scale) = field.split_once(' ').unwrap_or((field, ""));
    let stored = match kind {
        "Date" | "Time" => "int32",
        "Timestamp" => "int64",
        "Decimal" => "bytes",
        plain => plain,
    };
    let mut schema = format!(r#""type":"{stored}","optional":{optional}"#);
    if stored != kind {
        let name = format!("org.apache.kafka.connect.data.{kind}");
        write!(schema, r#","name":"{name}","version":1"#).unwrap();
    }
    if kind == "Decimal" {
        write!(schema, r#","parameters":{{"scale":"{scale}"}}"#).unwrap();
    }
    schema
}

fn record(id: &str, columns: &[Column], row: usize) -> String {
    let mut fields = format!(r#"{{"type":"{id}","optional":false,"field":"id"}}"#);
    let mut payload = format!(r#""id":{}"#, row + 1);
    for (index, (_, field, values)) in columns.iter().enumerate() {
        write!(fields, r#",{{{},"field":"c{index}"}}"#, schema(field)).unwrap();
        write!(payload, r#","c{index}":{}"#, values[row].1).unwrap();
    }
    format!(
        r#"{{"schema":{{"type":"struct","fields":[{fields}],"optional":false,"name":"users"}},"payload":{{{payload}}}}}"#
    )
}

async fn every_type_has_its_json(world: &World, id: &str, columns: &[Column]) {
    let declared: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, (declared, ..))| format!("c{index} {declared}"))
        .collect();
    let key = world.counted();
    world
        .run(&format!(
            "create table users(id {key}, {})",
            declared.join(", ")
        ))
        .await;
    let names: Vec<_> = (0..columns.len())
        .map(|index| format!("c{index}"))
        .collect();
    for row in 0..2 {
        let values: Vec<_> = columns.iter().map(|(.., values)| values[row].0).collect();
        world
            .run(&format!(
                "insert into users({}) values ({})",
                names.join(", "),
                values.join(", ")
            ))
            .await;
    }
    let connector = world.start_source(&json!({})).await;
    let topic = world.topic("users");
    let mut found = Vec::new();
    eventually("two records, or why not", async || {
        found = values_of(&topic).await;
        let status = world.status(&connector).await;
        assert!(status["tasks"][0]["trace"].is_null(), "{status}");
        found.len() == 2
    })
    .await;
    for (row, found) in found.iter().enumerate() {
        assert_eq!(*found, record(id, columns, row));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_mariadb_has_its_json() {
    on_mariadb(async |world: &mut World| {
        every_type_has_its_json(world, "int32", MARIADB).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_postgres_has_its_json() {
    on_postgres(async |world: &mut World| {
        world.run("create type mood as enum ('ok', 'bad')").await;
        world
            .run("create domain positive as integer check (value > 0)")
            .await;
        world.run("create domain required as text not null").await;
        world.run("create domain cents as numeric(10,2)").await;
        every_type_has_its_json(world, "int32", POSTGRES).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_sqlite_has_its_json() {
    on_sqlite(async |world: &mut World| {
        every_type_has_its_json(world, "int64", SQLITE).await;
    })
    .await;
}

/// As Confluent's source leaves out what has no place in a record.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_another_type_is_left_out() {
    on_postgres(async |world: &mut World| {
        let id = world.counted();
        world
            .run(&format!(
                "create table users(id {id}, a int[], i interval, t text)"
            ))
            .await;
        world
            .run("insert into users(a, i, t) values ('{1}', '1 day', 'kept')")
            .await;
        world.start_source(&json!({})).await;
        let topic = world.topic("users");
        eventually("the row", async || !values_of(&topic).await.is_empty()).await;
        let record = values_of(&topic).await.remove(0);
        let (_, payload) = record.split_once("\"payload\":").unwrap();
        assert_eq!(payload, r#"{"id":1,"t":"kept"}}"#);
    })
    .await;
}
