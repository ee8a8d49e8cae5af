mod keys;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::env::EnvSource;
use crate::transforms::{EXTRACT_FIELD_OF_KEY, Part, REGEX_ROUTER, VALUE_TO_KEY};

const DEBEZIUM: &str = "io.debezium.connector.jdbc.JdbcSinkConnector";
const CONFLUENT: &str = "io.confluent.connect.jdbc.JdbcSinkConnector";

fn properties(class: &str, more: &[(&str, &str)]) -> Properties {
    let base = [
        ("connector.class", class),
        ("connection.url", "jdbc:mysql://localhost:3306/mydb"),
        ("topics", "orders"),
    ];
    let pairs = base.iter().chain(more);
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn parse(class: &str, more: &[(&str, &str)]) -> Result<SinkConfig, String> {
    SinkConfig::parse(&properties(class, more)).map_err(|errors| errors.to_string())
}

#[test]
fn the_batch_size_that_is_told_is_the_one_that_holds() {
    for class in [Class::DebeziumSink, Class::ConfluentSink, Class::AivenSink] {
        let keys = definitions(class);
        let told = keys.into_iter().find(|key| key.name == "batch.size");
        let told = told.and_then(|key| key.default_value);
        assert_eq!(told, Some(BATCH_RECORDS.to_string()), "{class:?}");
    }
}

#[test]
fn the_orders_sink_is_read_with_its_placeholders_filled_in() {
    let json = include_str!("../../../connectors/orders-sink.json");
    let connector: serde_json::Value = serde_json::from_str(json).unwrap();
    let written: Properties = serde_json::from_value(connector["config"].clone()).unwrap();
    let variables = [
        ("ORDERS_SINK_URL", "jdbc:mariadb://db/orders"),
        ("ORDERS_SINK_USERNAME", "me"),
        ("ORDERS_SINK_PASSWORD", "secret"),
        ("ORDERS_SINK_TASKS_MAX", "3"),
        ("ORDERS_SINK_DLQ_REPLICATION", "2"),
    ];
    let variables = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let resolved = EnvSource::with_overrides(variables).resolve(&written);
    assert_eq!(resolved.missing, Default::default());
    let config = SinkConfig::parse(&resolved.properties).unwrap();
    assert_eq!(config.database.expose(), "mysql://me:secret@db/orders");
    assert_eq!(config.tasks_max, 3);
    let Topics::Named(topics) = &config.topics else {
        panic!("{:?}", config.topics)
    };
    assert_eq!(topics, &["orders", "order_outcomes"]);
    assert_eq!(config.tables.insert_mode, InsertMode::Upsert);
    assert_eq!(config.tables.key, KeyMode::RecordValue);
    assert_eq!(config.tables.key_fields, ["id"]);
    assert!(!config.tables.create && !config.tables.evolve && !config.tables.delete);
    assert!(config.retries.max > 1_000_000);
    assert!(matches!(config.key_converter, Converter::String));
    let Converter::Json {
        schemas: true,
        rules,
        ..
    } = config.value_converter
    else {
        panic!()
    };
    assert!(rules.strict);
    assert_eq!(config.consumer["isolation.level"], "read_committed");
    let dead_letters = DeadLetterRules {
        topic: "orders-sink.dlq".to_owned(),
        replication: 2,
        headers: true,
    };
    let errors = ErrorRules {
        tolerate: true,
        dead_letters: Some(dead_letters),
        log: ErrorLog {
            enabled: false,
            messages: false,
        },
    };
    assert_eq!(config.errors, errors);
    assert_eq!(masked(&written), written);
}

#[test]
fn both_families_of_keys_say_the_same() {
    let debezium = parse(
        DEBEZIUM,
        &[
            ("connection.username", "u"),
            ("insert.mode", "upsert"),
            ("primary.key.mode", "record_key"),
            ("primary.key.fields", "a, b"),
            ("schema.evolution", "basic"),
            ("delete.enabled", "true"),
            ("collection.name.format", "x_${topic}"),
            ("batch.size", "7"),
            ("flush.max.retries", "3"),
            ("flush.retry.delay.ms", "20"),
        ],
    )
    .unwrap();
    let confluent = parse(
        CONFLUENT,
        &[
            ("connection.user", "u"),
            ("insert.mode", "UPSERT"),
            ("pk.mode", "record_key"),
            ("pk.fields", "a,b"),
            ("auto.create", "true"),
            ("auto.evolve", "true"),
            ("delete.enabled", "TRUE"),
            ("table.name.format", "x_${topic}"),
            ("batch.size", "7"),
            ("max.retries", "3"),
            ("retry.backoff.ms", "20"),
        ],
    )
    .unwrap();
    for config in [&debezium, &confluent] {
        assert_eq!(config.database.expose(), "mysql://u@localhost:3306/mydb");
        assert_eq!(config.tables.key_fields, ["a", "b"]);
        assert!(config.tables.create && config.tables.evolve && config.tables.delete);
        assert_eq!(config.tables.name.format, "x_${topic}");
        assert_eq!(config.tables.batch_size, 7);
        assert_eq!(
            config.retries,
            Retries {
                max: 3,
                delay: Duration::from_millis(20)
            }
        );
    }
    assert_eq!(debezium.tables.on_tombstone, OnTombstone::Skip);
    assert_eq!(confluent.tables.on_tombstone, OnTombstone::Refuse);
}

#[test]
fn defaults_are_those_of_each_connector() {
    let debezium = parse(DEBEZIUM, &[]).unwrap();
    assert_eq!(
        debezium.retries,
        Retries {
            max: 5,
            delay: Duration::from_secs(1)
        }
    );
    let confluent = parse("io.aiven.connect.jdbc.JdbcSinkConnector", &[]).unwrap();
    assert_eq!(
        confluent.retries,
        Retries {
            max: 10,
            delay: Duration::from_secs(3)
        }
    );
    assert_eq!(confluent.tasks_max, 1);
    assert_eq!(confluent.tables.key, KeyMode::None);
    assert_eq!(confluent.consumer, BTreeMap::new());
}

#[test]
fn a_misspelt_class_is_answered_with_the_right_one() {
    let error = parse("io.confluent.connect.jdbc.JdbcSingConnector", &[]).unwrap_err();
    assert!(
        error.contains("did you mean io.confluent.connect.jdbc.JdbcSinkConnector?"),
        "{error}"
    );
    let error = parse("com.example.Other", &[]).unwrap_err();
    assert!(
        !error.contains("did you mean") && error.contains("available connectors"),
        "{error}"
    );
    let none = SinkConfig::parse(&Properties::new())
        .unwrap_err()
        .to_string();
    assert!(none.contains("\"connector.class\""), "{none}");
}

#[test]
fn every_fault_is_named_in_one_answer() {
    let mut properties = properties(
        CONFLUENT,
        &[
            ("insert.mode", "multi"),
            ("auto.create", "yes"),
            ("batch.size", "-1"),
            ("tasks.max", "0"),
            ("delete.enabled", "true"),
            ("auto.evlove", "true"),
            ("value.converter", "org.example.AvroConverter"),
        ],
    );
    properties.remove("connection.url");
    let errors = SinkConfig::parse(&properties).unwrap_err();
    let errors: Vec<_> = errors.0.into_iter().map(|fault| fault.message).collect();
    for expected in [
        "Missing required configuration \"connection.url\" which has no default value.",
        "Invalid value multi for configuration insert.mode: Invalid enumerator",
        "Invalid value yes for configuration auto.create: Expected value to be either true or false",
        "Invalid value -1 for configuration batch.size: Not a number of type INT",
        "Invalid value 0 for configuration tasks.max: Value must be at least 1",
        "Primary key mode must be 'record_key' when delete support is enabled",
        "Unknown configuration auto.evlove (did you mean auto.evolve?)",
    ] {
        assert!(
            errors.iter().any(|error| error == expected),
            "{expected} in {errors:?}"
        );
    }
    assert!(
        errors
            .iter()
            .any(|error| error.contains("org.example.AvroConverter"))
    );
    assert_eq!(errors.len(), 8, "{errors:?}");
}

#[test]
fn only_whole_upper_or_lower_case_is_an_enumerator() {
    assert!(parse(CONFLUENT, &[("insert.mode", "UPSERT")]).is_ok());
    assert!(parse(CONFLUENT, &[("insert.mode", "Upsert")]).is_err());
}

#[test]
fn an_unknown_key_is_no_fault_and_an_unsupported_one_is() {
    assert!(parse(CONFLUENT, &[("my.note", "x"), ("delete.enbaled", "false")]).is_ok());
    let error = parse(CONFLUENT, &[("predicates", "a")]).unwrap_err();
    assert_eq!(
        error,
        "Configuration \"predicates\" is not supported by connect-worker"
    );
}

#[test]
fn the_dead_letter_topic_cannot_be_consumed_too() {
    let error = parse(
        CONFLUENT,
        &[("errors.deadletterqueue.topic.name", "orders")],
    )
    .unwrap_err();
    assert!(
        error.contains("The DLQ topic 'orders' may not be included"),
        "{error}"
    );
}

#[test]
fn a_password_in_plain_text_is_masked() {
    let written = properties(DEBEZIUM, &[("connection.password", "hunter2")]);
    let mut shown = masked(&written);
    assert_eq!(shown["connection.password"], "********");
    assert_eq!(shown["topics"], "orders");
    unmasked(&mut shown, &written);
    assert_eq!(shown, written);
}

#[test]
fn transforms_are_read_in_their_order() {
    let config = parse(
        CONFLUENT,
        &[
            ("transforms", "key, id ,route"),
            ("transforms.key.type", VALUE_TO_KEY),
            ("transforms.key.fields", "id,name"),
            ("transforms.id.type", EXTRACT_FIELD_OF_KEY),
            ("transforms.id.field", "id"),
            ("transforms.id.replace.null.with.default", "false"),
            ("transforms.route.type", REGEX_ROUTER),
            ("transforms.route.regex", "(.*)"),
            ("transforms.route.replacement", "t_$1"),
        ],
    )
    .unwrap();
    let [key, id, route] = &config.transforms[..] else {
        panic!("{:?}", config.transforms)
    };
    assert!(matches!(key, TransformRule::ValueToKey { fields, .. } if fields == &["id", "name"]));
    assert!(matches!(
        id,
        TransformRule::ExtractField { part: Part::Key, field, replace_null_with_default: false }
            if field == "id"
    ));
    assert!(matches!(route, TransformRule::RegexRouter(_)));
}

#[test]
fn a_transform_that_cannot_work_is_refused() {
    let errors = parse(
        CONFLUENT,
        &[
            ("transforms", "a,b,a,c,d"),
            ("transforms.a.type", VALUE_TO_KEY),
            (
                "transforms.b.type",
                "org.apache.kafka.connect.transforms.ValuesToKey",
            ),
            ("transforms.c.type", REGEX_ROUTER),
            ("transforms.c.regex", "("),
            ("transforms.c.replacement", "x"),
            ("transforms.a.fieldz", "x"),
        ],
    )
    .unwrap_err();
    for expected in [
        "Missing required configuration \"transforms.a.fields\" which has no default value.",
        "for configuration transforms.b.type: did you mean org.apache.kafka.connect.transforms.ValueToKey?",
        "Invalid value a,b,a,c,d for configuration transforms: Duplicate alias provided.",
        "Invalid value ( for configuration transforms.c.regex: Invalid regex",
        "Missing required configuration \"transforms.d.type\" which has no default value.",
        "Unknown configuration transforms.a.fieldz (did you mean transforms.a.fields?)",
    ] {
        assert!(errors.contains(expected), "{expected} in {errors}");
    }
}

// case 50, case 51, case 52
#[test]
fn every_key_of_the_sink_is_read() {
    let config = parse(
        CONFLUENT,
        &[
            ("insert.mode", "update"),
            ("quote.sql.identifiers", "NEVER"),
            ("table.types", "view, partitioned table"),
            ("fields.whitelist", "id,name"),
            ("connection.attempts", "5"),
            ("connection.backoff.ms", "20"),
            ("db.timezone", "America/New_York"),
            ("date.timezone", "utc"),
            ("timestamp.fields.list", "at"),
            ("timestamp.precision.mode", "nanoseconds"),
            ("replace.null.with.default", "false"),
            ("string.output.value.column.name", "line"),
            ("errors.log.enable", "true"),
            ("errors.log.include.messages", "true"),
            ("errors.retry.timeout", "-1"),
            ("errors.retry.delay.max.ms", "1"),
            ("value.converter.decimal.format", "NUMERIC"),
        ],
    )
    .unwrap();
    let rules = &config.tables;
    assert_eq!(rules.insert_mode, InsertMode::Update);
    assert_eq!(rules.quoting, Quoting::Never);
    assert!(rules.kinds.tables && rules.kinds.views);
    assert!(rules.fields.allows("t", "id") && !rules.fields.allows("t", "x"));
    let attempts = Retries {
        max: 4,
        delay: Duration::from_millis(20),
    };
    assert_eq!(config.connection, Some(attempts));
    let zone = Tz::America__New_York;
    assert_eq!(
        (rules.zones.timestamp, rules.zones.time, rules.zones.date),
        (zone, zone, Tz::UTC)
    );
    assert!(rules.timestamps.nanoseconds && rules.timestamps.names == ["at"]);
    assert!(!rules.replace_null_with_default);
    assert_eq!(rules.text_column.as_deref(), Some("line"));
    assert!(config.errors.log.enabled && config.errors.log.messages);
}

#[test]
fn debeziums_and_aivens_spellings_are_read() {
    let debezium = parse(
        DEBEZIUM,
        &[
            ("field.include.list", "ID,orders:n.*"),
            ("use.time.zone", "Asia/Tokyo"),
            ("quote.identifiers", "false"),
            ("truncate.enabled", "false"),
            ("use.reduction.buffer", "true"),
            ("connection.pool.max_size", "5"),
        ],
    )
    .unwrap()
    .tables;
    assert!(debezium.fields.allows("other", "id") && debezium.fields.allows("orders", "name"));
    assert!(!debezium.fields.allows("other", "name"));
    assert_eq!(debezium.zones.timestamp, Tz::Asia__Tokyo);
    assert_eq!(debezium.zones.date, Tz::UTC);
    assert_eq!(debezium.quoting, Quoting::Never);

    let aiven = "io.aiven.connect.jdbc.JdbcSinkConnector";
    let keys = [
        ("insert.mode", "multi"),
        ("sql.quote.identifiers", "false"),
        ("table.name.normalize", "true"),
        ("topics.to.tables.mapping", "a:b,c:d"),
    ];
    let aiven = parse(aiven, &keys).unwrap().tables;
    assert_eq!(aiven.insert_mode, InsertMode::Insert);
    assert_eq!(aiven.quoting, Quoting::Never);
    assert_eq!(aiven.name.dots, Dots::Normalize);
    assert_eq!(aiven.name.mapping["c"], "d");
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    for (class, key, value, expected) in [
        (
            CONFLUENT,
            "db.timezone",
            "Mars/Phobos",
            "Invalid time zone identifier",
        ),
        (CONFLUENT, "insert.mode", "multi", "Invalid enumerator"),
        (
            CONFLUENT,
            "pk.mode",
            "record_header",
            "connect-worker has none, kafka",
        ),
        (CONFLUENT, "table.types", "INDEX", "Invalid enumerator"),
        (
            CONFLUENT,
            "connection.attempts",
            "0",
            "Value must be at least 1",
        ),
        (
            CONFLUENT,
            "pk.fields.regex",
            "x",
            "is not supported by connect-worker",
        ),
        (CONFLUENT, "topics.regex", "x", "mutually exclusive"),
        (
            DEBEZIUM,
            "truncate.enabled",
            "true",
            "is not supported by connect-worker",
        ),
        (
            DEBEZIUM,
            "collection.name.format",
            "${source.db}",
            "Debezium's change events",
        ),
        (DEBEZIUM, "field.include.list", "(", "Invalid regex"),
    ] {
        let error = parse(class, &[(key, value)]).unwrap_err();
        assert!(error.contains(expected) && error.contains(key), "{error}");
    }
}

#[test]
fn topics_can_be_chosen_by_a_regular_expression() {
    let by_regex = |more: &[(&str, &str)]| {
        let mut properties = properties(CONFLUENT, more);
        properties.remove("topics");
        SinkConfig::parse(&properties).map_err(|errors| errors.to_string())
    };
    let config = by_regex(&[("topics.regex", r"shop\.\d+")]).unwrap();
    let Topics::Matching(regex) = config.topics else {
        panic!()
    };
    assert!(regex.is_match("shop.1") && !regex.is_match("a.shop.1"));
    assert!(
        by_regex(&[("topics.regex", "(")])
            .unwrap_err()
            .contains("Invalid regex")
    );
    assert!(
        by_regex(&[])
            .unwrap_err()
            .contains("one of topics or topics.regex")
    );
    let both = [
        ("topics.regex", ".*"),
        ("errors.deadletterqueue.topic.name", "dlq"),
    ];
    let error = by_regex(&both).unwrap_err();
    assert!(
        error.contains("The DLQ topic 'dlq' may not be included in the regex"),
        "{error}"
    );
}

#[test]
fn the_tutorials_misspellings_are_all_told_at_once() {
    let keys = [("delete.enbaled", "false"), ("auto.create", "true")];
    let error = parse("io.confluent.connect.jdbc.JdbcSingConnector", &keys).unwrap_err();
    for meant in ["JdbcSinkConnector?", "did you mean delete.enabled?"] {
        assert!(error.contains(meant), "{error}");
    }
}

proptest! {
    #[test]
    fn any_configuration_is_read_or_told_its_faults(
        class in select(CLASSES.to_vec()),
        keys in prop::collection::vec((select(KEYS.to_vec()), any_value()), 0..12),
    ) {
        let more: Vec<_> = keys.iter().map(|(key, value)| (*key, value.as_str())).collect();
        match ConnectorConfig::parse(&properties(class, &more)) {
            Ok(ConnectorConfig::Sink(config)) => {
                prop_assert!(config.tables.batch_size > 0 && config.tasks_max > 0);
            }
            Ok(ConnectorConfig::Source(config)) => {
                prop_assert!(config.batch_rows > 0 && config.tasks_max > 0);
            }
            Err(faults) => prop_assert!(!faults.to_string().is_empty()),
        }
    }
}

const CLASSES: [&str; 5] = [
    DEBEZIUM,
    CONFLUENT,
    "io.aiven.connect.jdbc.JdbcSinkConnector",
    "io.confluent.connect.jdbc.JdbcSourceConnector",
    "no.such.Class",
];

const KEYS: [&str; 27] = [
    "batch.max.rows",
    "batch.size",
    "connection.url",
    "consumer.override.x",
    "delete.enabled",
    "errors.deadletterqueue.topic.name",
    "errors.tolerance",
    "flush.max.retries",
    "insert.mode",
    "key.converter",
    "max.retries",
    "mode",
    "pk.fields",
    "pk.mode",
    "primary.key.fields",
    "primary.key.mode",
    "query",
    "table.include.list",
    "table.types",
    "table.whitelist",
    "tasks.max",
    "timestamp.column.name",
    "timestamp.initial",
    "topic.prefix",
    "topics",
    "transforms",
    "value.converter.schemas.enable",
];

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "(none|kafka|record_key|record_value|upsert|update|bulk|timestamp|all|true|false|a,b|,|)",
        any::<String>(),
    ]
}
