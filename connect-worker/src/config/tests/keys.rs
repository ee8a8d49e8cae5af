//! Each key of each connector is read, refused by name, or, where it changes nothing here,
//! ignored.

use super::*;

const AIVEN: &str = "io.aiven.connect.jdbc.JdbcSinkConnector";
const SOURCE: &str = "io.confluent.connect.jdbc.JdbcSourceConnector";
const AIVEN_SOURCE: &str = "io.aiven.connect.jdbc.JdbcSourceConnector";

/// A key and a value that it takes, or does not.
type Key = (&'static str, &'static str);

struct Keys {
    class: &'static str,
    /// What no configuration of it can be without.
    needed: &'static [Key],
    known: &'static [&'static [Key]],
    refused: &'static [&'static [Key]],
}

const CLASSES: [Keys; 5] = [
    Keys {
        class: CONFLUENT,
        needed: &[("topics", "t")],
        known: &[FRAMEWORK, SINKS, JDBC, JDBC_SINK, CONFLUENT_SINK],
        refused: &[
            UNSUPPORTED,
            CONFLUENT_UNSUPPORTED,
            CONFLUENT_SINK_UNSUPPORTED,
        ],
    },
    Keys {
        class: AIVEN,
        needed: &[("topics", "t")],
        known: &[FRAMEWORK, SINKS, JDBC, JDBC_SINK, AIVEN_SINK],
        refused: &[UNSUPPORTED],
    },
    Keys {
        class: DEBEZIUM,
        needed: &[("topics", "t")],
        known: &[FRAMEWORK, SINKS, DEBEZIUM_SINK],
        refused: &[UNSUPPORTED, DEBEZIUM_UNSUPPORTED],
    },
    Keys {
        class: SOURCE,
        needed: &[("mode", "bulk"), ("topic.prefix", "p")],
        known: &[FRAMEWORK, JDBC, JDBC_SOURCE, CONFLUENT_SOURCE],
        refused: &[UNSUPPORTED, CONFLUENT_UNSUPPORTED, SOURCE_UNSUPPORTED],
    },
    Keys {
        class: AIVEN_SOURCE,
        needed: &[("mode", "bulk"), ("topic.prefix", "p")],
        known: &[FRAMEWORK, JDBC, JDBC_SOURCE, AIVENS_SOURCE],
        refused: &[UNSUPPORTED, SOURCE_UNSUPPORTED],
    },
];

/// What Connect itself reads.
const FRAMEWORK: &[Key] = &[
    ("config.action.reload", "restart"),
    ("connector.plugin.version", "1"),
    ("errors.log.enable", "true"),
    ("errors.log.include.messages", "true"),
    ("errors.retry.delay.max.ms", "1"),
    ("errors.retry.timeout", "1"),
    ("errors.tolerance", "all"),
    ("header.converter", "x"),
    (
        "key.converter",
        "org.apache.kafka.connect.storage.StringConverter",
    ),
    ("key.converter.plugin.version", "1"),
    ("name", "n"),
    ("tasks.max", "2"),
    ("tasks.max.enforce", "true"),
    ("transforms", ""),
    (
        "value.converter",
        "org.apache.kafka.connect.json.JsonConverter",
    ),
    ("value.converter.converter.type", "value"),
    ("value.converter.decimal.format", "NUMERIC"),
    ("value.converter.plugin.version", "1"),
    ("value.converter.replace.null.with.default", "false"),
    ("value.converter.schemas.cache.size", "1"),
    ("value.converter.schemas.enable", "true"),
];

const SINKS: &[Key] = &[
    ("errors.deadletterqueue.context.headers.enable", "true"),
    ("errors.deadletterqueue.topic.name", "dlq"),
    ("errors.deadletterqueue.topic.replication.factor", "1"),
    ("topics.regex", ""),
];

/// Of Confluent and Aiven, sinks and sources.
const JDBC: &[Key] = &[
    ("connection.attempts", "2"),
    ("connection.backoff.ms", "1"),
    ("connection.password", "p"),
    ("connection.user", "u"),
    ("db.timezone", "Asia/Tokyo"),
    ("dialect.name", "MySqlDatabaseDialect"),
    ("table.types", "VIEW"),
];

const JDBC_SINK: &[Key] = &[
    ("auto.create", "true"),
    ("auto.evolve", "true"),
    ("batch.size", "7"),
    ("delete.enabled", "false"),
    ("fields.whitelist", "a"),
    ("insert.mode", "update"),
    ("max.retries", "1"),
    ("mssql.use.merge.holdlock", "true"),
    ("pk.fields", "a"),
    ("pk.mode", "record_value"),
    ("retry.backoff.ms", "1"),
    ("table.name.format", "x_${topic}"),
];

const CONFLUENT_SINK: &[Key] = &[
    ("date.timezone", "utc"),
    ("quote.sql.identifiers", "never"),
    ("replace.null.with.default", "false"),
    ("string.output.value.column.name", "v"),
    ("timestamp.fields.list", "a"),
    ("timestamp.precision.mode", "nanoseconds"),
    ("trim.sensitive.log", "false"),
];

const AIVEN_SINK: &[Key] = &[
    ("handle.tombstone", "true"),
    ("insert.mode", "multi"),
    ("sql.quote.identifiers", "false"),
    ("table.name.normalize", "true"),
    ("topics.to.tables.mapping", "a:b"),
];

const DEBEZIUM_SINK: &[Key] = &[
    ("batch.size", "7"),
    ("collection.name.format", "x_${topic}"),
    (
        "collection.naming.strategy",
        "io.debezium.sink.naming.DefaultCollectionNamingStrategy",
    ),
    (
        "column.naming.strategy",
        "io.debezium.connector.jdbc.naming.DefaultColumnNamingStrategy",
    ),
    ("connection.password", "p"),
    ("connection.pool.acquire_increment", "1"),
    ("connection.pool.max_size", "1"),
    ("connection.pool.min_size", "1"),
    ("connection.pool.timeout", "1"),
    ("connection.provider", "x"),
    ("connection.restart.on.errors", "true"),
    ("connection.username", "u"),
    ("database.time_zone", "Asia/Tokyo"),
    ("delete.enabled", "false"),
    ("dialect.postgres.postgis.schema", "x"),
    ("dialect.postgres.unnest.insert.enabled", "true"),
    ("dialect.sqlserver.identity.insert", "true"),
    ("field.exclude.list", "a"),
    ("field.include.list", "a"),
    ("flush.max.retries", "1"),
    ("flush.retry.delay.ms", "1"),
    ("insert.mode", "upsert"),
    ("primary.key.fields", "a"),
    ("primary.key.mode", "record_value"),
    ("quote.identifiers", "false"),
    ("schema.evolution", "basic"),
    ("table.name.format", "x_${topic}"),
    ("truncate.enabled", "false"),
    ("use.reduction.buffer", "true"),
    ("use.time.zone", "Asia/Tokyo"),
];

const JDBC_SOURCE: &[Key] = &[
    ("batch.max.rows", "7"),
    ("exactly.once.support", "requested"),
    ("incrementing.column.name", "id"),
    ("mode", "incrementing"),
    ("numeric.mapping", "best_fit"),
    ("numeric.precision.mapping", "true"),
    ("poll.interval.ms", "1"),
    ("query", "SELECT 1"),
    ("query.retry.attempts", "-1"),
    ("table.blacklist", "a"),
    ("table.include.list", "a.*"),
    ("table.monitoring.startup.polling.limit.ms", "1"),
    ("table.poll.interval.ms", "1"),
    ("table.whitelist", "a"),
    ("timestamp.column.name", "at"),
    ("timestamp.delay.interval.ms", "1"),
    ("timestamp.granularity", "connect_logical"),
    ("topic.creation.default.partitions", "1"),
    ("topic.creation.default.replication.factor", "1"),
    ("topic.prefix", "x"),
    ("transaction.boundary", "poll"),
    ("transaction.isolation.mode", "DEFAULT"),
    ("validate.non.null", "false"),
];

const CONFLUENT_SOURCE: &[Key] = &[
    ("incrementing.relaxed.monotonic", "false"),
    ("quote.sql.identifiers", "never"),
    ("timestamp.initial", "-1"),
    ("trim.sensitive.log", "false"),
];

const AIVENS_SOURCE: &[Key] = &[
    ("incrementing.initial", "7"),
    ("sql.quote.identifiers", "false"),
    ("timestamp.initial.ms", "-1"),
];

const UNSUPPORTED: &[Key] = &[
    ("admin.override.sasl.mechanism", "PLAIN"),
    ("key.converter.schema.content", "{}"),
    ("predicates", "a"),
    ("predicates.a.type", "x"),
    ("producer.override.compression.type", "zstd"),
    ("value.converter.schema.content", "{}"),
];

const CONFLUENT_UNSUPPORTED: &[Key] = &[
    ("connection.loginTimeout", "10"),
    ("jdbc.credentials.provider.class.name", "x"),
    ("trim.sensitive.log", "true"),
];

const CONFLUENT_SINK_UNSUPPORTED: &[Key] = &[
    ("auto.evolve.types", "true"),
    ("pk.fields.regex", "x"),
    ("sql.complex.types.enable", "true"),
    ("tables.name.mapping", "a:b"),
];

const DEBEZIUM_UNSUPPORTED: &[Key] = &[
    ("cloud.events.schema.name.pattern", "x"),
    ("collection.naming.strategy", "x"),
    ("collection.table.format", "${table}"),
    ("column.naming.strategy", "x"),
    ("hibernate.connection.isolation", "8"),
    ("keyed.message.batch.mode", "deduplication"),
    ("table.naming.strategy", "x"),
    ("truncate.enabled", "true"),
];

const SOURCE_UNSUPPORTED: &[Key] = &[
    ("catalog.pattern", "x"),
    ("exactly.once.support", "required"),
    ("incrementing.column.mapping", "a:b"),
    ("incrementing.relaxed.monotonic", "true"),
    ("offsets.storage.topic", "x"),
    ("query.masked", "SELECT 1"),
    ("query.retry.attempts", "5"),
    ("query.suffix", "FOR UPDATE"),
    ("schema.pattern", "x"),
    ("table.exclude.list", "a"),
    ("timestamp.columns.mapping", "a:b"),
    ("timestamp.granularity", "micros_long"),
    ("topic.creation.default.retention.ms", "1"),
    ("topic.creation.groups", "a"),
    ("transaction.boundary", "interval"),
    ("transaction.boundary.interval.ms", "1"),
    ("transaction.isolation.mode", "SERIALIZABLE"),
];

impl Keys {
    fn with(&self, keys: &[Key]) -> Result<ConnectorConfig, String> {
        let base = [
            ("connector.class", self.class),
            ("connection.url", "jdbc:mysql://localhost:3306/mydb"),
        ];
        let pairs = base.iter().chain(self.needed).chain(keys);
        let properties = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ConnectorConfig::parse(&properties.collect()).map_err(|faults| faults.to_string())
    }

    fn known(&self) -> impl Iterator<Item = Key> {
        self.known.iter().copied().flatten().copied()
    }
}

#[test]
fn every_key_takes_its_values() {
    for keys in &CLASSES {
        for (key, value) in keys.known() {
            let parsed = keys.with(&[(key, value)]);
            assert!(parsed.is_ok(), "{} {key}={value}: {parsed:?}", keys.class);
        }
    }
}

/// A key that nobody reads would not be recognised when it is misspelt.
#[test]
fn every_key_is_known() {
    for keys in &CLASSES {
        for (key, _) in keys.known() {
            let misspelt = format!("{key}x").leak();
            let faults = keys.with(&[(misspelt, "x"), ("tasks.max", "0")]);
            let faults = faults.unwrap_err();
            let told = |fault: &str| {
                fault.contains(&*misspelt) && fault.ends_with(&format!(" (did you mean {key}?)"))
            };
            assert!(faults.lines().any(told), "{} {key}: {faults}", keys.class);
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for keys in &CLASSES {
        for (key, value) in keys.refused.iter().copied().flatten() {
            let told = format!("Configuration \"{key}\" is not supported by connect-worker");
            let refused = keys.with(&[(*key, *value)]).unwrap_err();
            assert!(refused.starts_with(&told), "{}: {refused}", keys.class);
        }
    }
}

#[test]
fn an_unknown_key_is_no_fault() {
    for keys in &CLASSES {
        let parsed = keys.with(&[("no.such.key", "x"), ("my.note", "y")]);
        assert!(parsed.is_ok(), "{}: {parsed:?}", keys.class);
    }
}
