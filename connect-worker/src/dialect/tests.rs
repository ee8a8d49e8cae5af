use sea_orm::DatabaseBackend::{MySql, Postgres, Sqlite};
use shared::connect_json::{Decoder, Rules};

use super::*;

const DECIMAL: &str =
    r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}"#;
const DATE: &str = r#"{"type":"int32","name":"org.apache.kafka.connect.data.Date""#;
const TIME: &str = r#"{"type":"int32","name":"org.apache.kafka.connect.data.Time""#;
const TIMESTAMP: &str = r#"{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp""#;

/// A schema by its JSON without the closing brace.
fn schema(json: &str) -> Schema {
    let record = format!(r#"{{"schema":{json},"optional":true}},"payload":null}}"#);
    let record = Decoder::new(Rules::default())
        .decode(Some(record.as_bytes()))
        .unwrap()
        .unwrap();
    let mut schema = (*record.schema.unwrap()).clone();
    schema.optional = false;
    schema
}

fn column(backend: DbBackend, name: &str, json: &str, is_key: bool) -> TargetColumn {
    let schema = schema(json);
    let db_type = for_backend(backend).column_type(&schema, is_key).unwrap();
    TargetColumn {
        name: name.to_owned(),
        db_type,
        schema,
        is_key,
    }
}

fn target(backend: DbBackend) -> Target {
    Target {
        table: TableName {
            schema: None,
            name: "orders".to_owned(),
        },
        columns: vec![
            column(backend, "id", r#"{"type":"string""#, true),
            column(backend, "qty", r#"{"type":"int32""#, false),
        ],
    }
}

#[test]
fn every_type_has_its_column_type() {
    let types = [
        (r#"{"type":"int8""#, ["tinyint", "smallint", "INTEGER"]),
        (r#"{"type":"int16""#, ["smallint", "smallint", "INTEGER"]),
        (r#"{"type":"int32""#, ["int", "integer", "INTEGER"]),
        (r#"{"type":"int64""#, ["bigint", "bigint", "INTEGER"]),
        (r#"{"type":"float""#, ["float", "real", "REAL"]),
        (
            r#"{"type":"double""#,
            ["double", "double precision", "REAL"],
        ),
        (r#"{"type":"boolean""#, ["tinyint", "boolean", "INTEGER"]),
        (r#"{"type":"string""#, ["text", "text", "TEXT"]),
        (r#"{"type":"bytes""#, ["varbinary(1024)", "bytea", "BLOB"]),
        (DECIMAL, ["decimal(65,2)", "numeric", "NUMERIC"]),
        (DATE, ["date", "date", "TEXT"]),
        (TIME, ["time(3)", "time", "TEXT"]),
        (TIMESTAMP, ["datetime(3)", "timestamp", "TEXT"]),
    ];
    for (json, expected) in types {
        for (backend, expected) in [MySql, Postgres, Sqlite].into_iter().zip(expected) {
            assert_eq!(
                column(backend, "c", json, false).db_type,
                expected,
                "{json}"
            );
        }
    }
    let nested = schema(r#"{"type":"struct","fields":[]"#);
    for backend in [MySql, Postgres, Sqlite] {
        assert_eq!(for_backend(backend).column_type(&nested, false), None);
    }
    assert_eq!(
        column(MySql, "id", r#"{"type":"string""#, true).db_type,
        "varchar(255)"
    );
}

#[test]
fn defaults_become_literals() {
    let defaults = [
        (
            r#"{"type":"string","default":"it's \\""#,
            ["'it''s \\\\'", "'it''s \\'", "'it''s \\'"],
        ),
        (r#"{"type":"int32","default":100"#, ["100", "100", "100"]),
        (r#"{"type":"boolean","default":false"#, ["0", "false", "0"]),
        (
            r#"{"type":"double","default":99.99"#,
            ["99.99", "99.99", "99.99"],
        ),
        (
            r#"{"type":"bytes","default":"4Hw=""#,
            ["x'E07C'", "'\\xE07C'", "x'E07C'"],
        ),
        (&format!(r#"{DECIMAL},"default":"AJw=""#), ["1.56"; 3]),
        (&format!(r#"{DATE},"default":11396"#), ["'2001-03-15'"; 3]),
        (&format!(r#"{TIME},"default":0"#), ["'00:00:00.000'"; 3]),
        (
            &format!(r#"{TIMESTAMP},"default":984614400000"#),
            [
                "'2001-03-15 00:00:00.000'",
                "'2001-03-15 00:00:00.000'",
                "'2001-03-15T00:00:00.000+00:00'",
            ],
        ),
    ];
    for (json, expected) in defaults {
        let default = schema(json).default.unwrap();
        for (backend, expected) in [MySql, Postgres, Sqlite].into_iter().zip(expected) {
            assert_eq!(
                for_backend(backend).literal(&default).as_deref(),
                Some(expected)
            );
        }
    }
}

#[test]
fn a_table_is_created_with_its_key() {
    let create = |backend| for_backend(backend).create_table(&target(backend)).sql;
    assert_eq!(
        create(MySql),
        "CREATE TABLE IF NOT EXISTS `orders` (`id` varchar(255) NOT NULL, `qty` int NOT NULL, \
         PRIMARY KEY (`id`))"
    );
    assert_eq!(
        create(Postgres),
        "CREATE TABLE IF NOT EXISTS \"orders\" (\"id\" text NOT NULL, \"qty\" integer NOT NULL, \
         PRIMARY KEY (\"id\"))"
    );
    let mut added = column(Sqlite, "age", r#"{"type":"int32","default":1"#, false);
    added.schema.optional = true;
    assert_eq!(
        for_backend(Sqlite)
            .add_column(&target(Sqlite).table, &added)
            .sql,
        "ALTER TABLE \"orders\" ADD COLUMN \"age\" INTEGER DEFAULT 1 NULL"
    );
}

#[test]
fn upserts_have_many_rows() {
    let insert = |backend| for_backend(backend).insert(&target(backend), 2, true);
    assert_eq!(
        insert(MySql),
        "INSERT INTO `orders` (`id`, `qty`) VALUES (?, ?), (?, ?) \
         ON DUPLICATE KEY UPDATE `qty` = VALUES(`qty`)"
    );
    assert_eq!(
        insert(Postgres),
        "INSERT INTO \"orders\" (\"id\", \"qty\") VALUES ($1, $2), ($3, $4) \
         ON CONFLICT (\"id\") DO UPDATE SET \"qty\" = EXCLUDED.\"qty\""
    );
    assert_eq!(
        insert(Sqlite),
        "INSERT INTO \"orders\" (\"id\", \"qty\") VALUES (?, ?), (?, ?) \
         ON CONFLICT (\"id\") DO UPDATE SET \"qty\" = EXCLUDED.\"qty\""
    );
    let plain = for_backend(Sqlite).insert(&target(Sqlite), 1, false);
    assert_eq!(
        plain,
        "INSERT INTO \"orders\" (\"id\", \"qty\") VALUES (?, ?)"
    );
}

#[test]
fn a_row_of_key_columns_only_is_left_as_it_is() {
    let only_keys = |backend| {
        let mut target = target(backend);
        target.columns.truncate(1);
        for_backend(backend).insert(&target, 1, true)
    };
    assert!(only_keys(Postgres).ends_with(" ON CONFLICT (\"id\") DO NOTHING"));
    assert!(only_keys(MySql).ends_with(" ON DUPLICATE KEY UPDATE `id` = VALUES(`id`)"));
}

#[test]
fn deletes_name_their_keys() {
    let mut target = target(Postgres);
    target.columns[1].is_key = true;
    let dialect = for_backend(Postgres);
    assert_eq!(
        dialect.delete(&target, 2),
        "DELETE FROM \"orders\" WHERE (\"id\" = $1 AND \"qty\" = $2) OR (\"id\" = $3 AND \"qty\" = $4)"
    );
    target.columns.truncate(1);
    assert_eq!(
        dialect.delete(&target, 2),
        "DELETE FROM \"orders\" WHERE \"id\" IN ($1, $2)"
    );
}

#[test]
fn postgresql_is_told_the_types_it_would_not_assume() {
    let dialect = for_backend(Postgres);
    let mut uuid = column(Postgres, "u", r#"{"type":"string""#, false);
    uuid.db_type = "uuid".to_owned();
    let price = column(Postgres, "p", DECIMAL, false);
    let target = Target {
        table: target(Postgres).table,
        columns: vec![uuid, price],
    };
    assert!(
        dialect
            .insert(&target, 1, false)
            .ends_with("VALUES ($1::uuid, $2::numeric)")
    );

    let mut time = column(Postgres, "t", TIMESTAMP, false);
    let plain = dialect.bind(&Value::Timestamp(0), &time).unwrap();
    assert!(matches!(plain, sea_orm::Value::ChronoDateTime(Some(_))));
    time.db_type = "timestamptz".to_owned();
    let zoned = dialect.bind(&Value::Timestamp(0), &time).unwrap();
    assert!(matches!(zoned, sea_orm::Value::ChronoDateTimeUtc(Some(_))));
    let null = dialect.bind(&Value::Null, &time).unwrap();
    assert_eq!(null, sea_orm::Value::ChronoDateTimeUtc(None));
    let small = column(Postgres, "s", r#"{"type":"int8""#, false);
    assert_eq!(
        dialect.bind(&Value::Int8(-1), &small).unwrap(),
        (-1_i16).into()
    );
}

#[test]
fn sqlite_keeps_times_as_text_of_one_form() {
    let dialect = for_backend(Sqlite);
    for (json, value, text) in [
        (
            TIMESTAMP,
            Value::Timestamp(1_474_661_402_123),
            "2016-09-23T20:10:02.123+00:00",
        ),
        (
            TIMESTAMP,
            Value::Timestamp(0),
            "1970-01-01T00:00:00.000+00:00",
        ),
        (DATE, Value::Date(17_067), "2016-09-23"),
        (TIME, Value::Time(73_802_123), "20:30:02.123"),
    ] {
        let column = column(Sqlite, "c", json, false);
        assert_eq!(dialect.bind(&value, &column).unwrap(), text.into());
    }
}

#[test]
fn what_no_column_can_take_is_bad_data() {
    for backend in [MySql, Postgres, Sqlite] {
        let dialect = for_backend(backend);
        let time = column(backend, "c", TIMESTAMP, false);
        assert!(dialect.bind(&Value::Timestamp(i64::MAX), &time).is_err());
        let nested = dialect.bind(&Value::Struct(Vec::new()), &time).unwrap_err();
        assert_eq!(nested.to_string(), "Unsupported source data type: STRUCT");
    }
}

#[test]
fn identifiers_are_quoted_whatever_they_hold() {
    assert_eq!(for_backend(MySql).quote("a`b"), "`a``b`");
    let table = TableName {
        schema: Some("s\"".to_owned()),
        name: "t".to_owned(),
    };
    assert_eq!(for_backend(Postgres).quote_table(&table), "\"s\"\"\".\"t\"");
}
