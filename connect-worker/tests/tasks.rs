//! A whole task on real Kafka and a real database, with a cable between them that can be
//! cut.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_worker::config::SinkConfig;
use connect_worker::sink::{SinkMetrics, Step, Task, TaskError, TaskId};
use prometheus_client::registry::Registry;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use serde_json::json;
use shared::kafka::KafkaSettings;
use shared::traces::Traces;
use test_database::{Cable, on_mariadb, on_postgres};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DEBEZIUM: &str = "io.debezium.connector.jdbc.JdbcSinkConnector";
const CONFLUENT: &str = "io.confluent.connect.jdbc.JdbcSinkConnector";
const PATIENCE: Duration = Duration::from_secs(60);

fn broker() -> String {
    std::env::var("STACK_KAFKA").unwrap_or_else(|_| "127.0.0.1:19092".to_owned())
}

/// A task of its own, its topic and its table.
struct World {
    name: String,
    cable: Cable,
    db: DatabaseConnection,
    stop: CancellationToken,
}

impl World {
    async fn new(url: &str, what: &str) -> Self {
        let database = url.rsplit_once('/').unwrap().1;
        Self {
            name: format!("{what}_{database}"),
            cable: Cable::to(url).await,
            db: crate::common::connect(url).await,
            stop: CancellationToken::new(),
        }
    }

    async fn create_topic(&self, topic: &str) {
        self.create_topic_for(topic, "40000000").await;
    }

    async fn create_topic_for(&self, topic: &str, message_bytes: &str) {
        let admin: AdminClient<_> = client().create().unwrap();
        let topic = NewTopic::new(topic, 2, TopicReplication::Fixed(1))
            .set("max.message.bytes", message_bytes);
        let created = admin
            .create_topics([&topic], &AdminOptions::new())
            .await
            .unwrap();
        created[0].as_ref().unwrap();
    }

    async fn task(&self, class: &str, keys: &[(&str, &str)]) -> Task {
        let base = [
            ("connector.class", class),
            ("connection.url", &jdbc_url(self.cable.url())),
            ("insert.mode", "upsert"),
        ];
        let properties: BTreeMap<_, _> = base
            .iter()
            .chain(keys)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let config = SinkConfig::parse(&properties).unwrap();
        let id = TaskId {
            connector: self.name.clone(),
            number: 0,
        };
        let kafka = KafkaSettings {
            bootstrap_servers: broker(),
            properties: BTreeMap::new(),
        };
        let metrics = SinkMetrics::register(&mut Registry::default());
        Task::new(id, config, &kafka, &metrics, &Traces::default())
            .await
            .unwrap()
    }

    /// Runs a task until it fails or the world's end.
    fn run(&self, mut task: Task) -> JoinHandle<Result<(), TaskError>> {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let ended = loop {
                match task.step(&stop).await {
                    Ok(Step::Stopped) => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            task.close().await;
            ended
        })
    }

    /// Where records go by their id, tried for ever.
    fn upserts(&self) -> [(&str, &str); 6] {
        [
            ("topics", self.name.as_str()),
            ("collection.name.format", "sunk"),
            ("primary.key.mode", "record_value"),
            ("primary.key.fields", "id"),
            ("flush.max.retries", "1000000"),
            ("flush.retry.delay.ms", "50"),
        ]
    }

    async fn execute(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    /// Waits until a query finds something.
    async fn has_rows(&self, sql: &str) {
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let found = async {
            while self
                .db
                .query_one_raw(statement.clone())
                .await
                .unwrap()
                .is_none()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, found).await.is_ok(), "{sql}");
    }

    async fn ids(&self) -> Vec<i64> {
        let sql = "SELECT id FROM sunk ORDER BY id";
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let rows = self.db.query_all_raw(statement).await.unwrap_or_default();
        rows.iter()
            .map(|row| row.try_get("", "id").unwrap())
            .collect()
    }

    async fn reaches(&self, ids: &[i64]) {
        let reached = async {
            while self.ids().await != ids {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            assert_eq!(self.ids().await, ids);
        }
    }

    /// The sum of the group's offsets.
    fn committed(&self, topic: &str) -> i64 {
        let consumer: BaseConsumer = client()
            .set("group.id", format!("connect-{}", self.name))
            .create()
            .unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(topic, 0, 1);
        let offsets = consumer.committed_offsets(partitions, PATIENCE).unwrap();
        let offset = |offset| match offset {
            Offset::Offset(offset) => offset,
            _ => 0,
        };
        offsets.elements().iter().map(|e| offset(e.offset())).sum()
    }
}

fn jdbc_url(url: &str) -> String {
    let (scheme, place) = url.rsplit_once("://test:test@").unwrap();
    let driver = if scheme == "mysql" {
        "mariadb"
    } else {
        "postgresql"
    };
    format!("jdbc:{driver}://{place}?user=test&password=test")
}

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker())
        .set("message.max.bytes", "40000000");
    config
}

async fn produce(topic: &str, payload: &str) {
    let producer: FutureProducer = client().create().unwrap();
    let record = FutureRecord::<(), _>::to(topic)
        .partition(0)
        .payload(payload);
    producer.send(record, PATIENCE).await.unwrap();
}

fn record(id: i64, name: &str) -> String {
    let fields = json!([{"type": "int64", "field": "id"},
        {"type": "string", "optional": true, "field": "name"}]);
    let schema = json!({"type": "struct", "fields": fields, "optional": false});
    json!({"schema": schema, "payload": {"id": id, "name": name}}).to_string()
}

/// With a key, a header and a time of its own.
async fn produce_dated(topic: &str, payload: Option<&str>, time: i64) {
    let producer: FutureProducer = client().create().unwrap();
    let headers = OwnedHeaders::new().insert(Header {
        key: "original",
        value: Some("kept"),
    });
    let record = FutureRecord {
        topic,
        partition: Some(0),
        payload,
        key: Some("key"),
        timestamp: Some(time),
        headers: Some(headers),
    };
    producer.send(record, PATIENCE).await.unwrap();
}

/// The first so many.
fn dead_letters_of(topic: &str, count: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = client().set("group.id", "none").create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&partitions).unwrap();
    let next = || consumer.poll(PATIENCE).unwrap().unwrap().detach();
    (0..count).map(|_| next()).collect()
}

fn header(letter: &OwnedMessage, name: &str) -> Option<String> {
    let mut headers = letter.headers()?.iter();
    let found = headers.find(|header| header.key == name)?;
    Some(String::from_utf8_lossy(found.value?).into_owned())
}

async fn a_database_that_is_away_is_waited_for(url: String) {
    let world = World::new(&url, "away").await;
    let topic = world.name.clone();
    world.create_topic(&topic).await;
    world.cable.cut();
    let keys = [&world.upserts()[..], &[("schema.evolution", "basic")]].concat();
    let running = world.run(world.task(DEBEZIUM, &keys).await);
    for id in 0..5 {
        produce(&topic, &record(id, "a")).await;
    }
    world.cable.mend();
    world.reaches(&[0, 1, 2, 3, 4]).await;
    world.cable.cut();
    for id in 5..10 {
        produce(&topic, &record(id, "b")).await;
    }
    assert_eq!(world.ids().await.len(), 5);
    assert!(world.committed(&topic) <= 5);
    world.cable.mend();
    world.reaches(&(0..10).collect::<Vec<_>>()).await;
    world.stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(world.committed(&topic), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_that_is_away_is_waited_for_at_the_start_and_in_mid_stream() {
    on_mariadb(a_database_that_is_away_is_waited_for).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_is_away_is_waited_for_at_the_start_and_in_mid_stream() {
    on_postgres(a_database_that_is_away_is_waited_for).await;
}

/// The batch's second statement waits for a row that somebody else holds when the
/// connection goes.
async fn a_batch_that_is_cut_off_in_its_middle_is_written_whole(url: String) {
    let world = World::new(&url, "middle").await;
    let topic = world.name.clone();
    world.create_topic(&topic).await;
    world
        .execute("CREATE TABLE sunk (id BIGINT PRIMARY KEY, name VARCHAR(9))")
        .await;
    world.execute("INSERT INTO sunk VALUES (3, 'held')").await;
    for id in 1..=4 {
        produce(&topic, &record(id, "new")).await;
    }
    let rival = crate::common::connect(&url).await;
    let holder = rival.begin().await.unwrap();
    holder
        .execute_unprepared("UPDATE sunk SET name = 'mine' WHERE id = 3")
        .await
        .unwrap();
    let keys = [&world.upserts()[..], &[("batch.size", "2")]].concat();
    let running = world.run(world.task(DEBEZIUM, &keys).await);
    let waiting = match world.db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        }
        _ => {
            "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'INSERT INTO `sunk`%'"
        }
    };
    world.has_rows(waiting).await;
    world.cable.cut();
    holder.rollback().await.unwrap();
    assert_eq!(world.ids().await, [3]);
    world.cable.mend();
    world.reaches(&[1, 2, 3, 4]).await;
    world
        .has_rows("SELECT 1 FROM sunk WHERE id = 3 AND name = 'new'")
        .await;
    world.stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(world.committed(&topic), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_cut_off_from_mariadb_is_written_whole() {
    on_mariadb(a_batch_that_is_cut_off_in_its_middle_is_written_whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_cut_off_from_postgres_is_written_whole() {
    on_postgres(a_batch_that_is_cut_off_in_its_middle_is_written_whole).await;
}

/// Payload, stage and reason.
type Bad = (Option<String>, &'static str, &'static str);

fn bad_records() -> [Bad; 6] {
    [
        (
            Some("{".to_owned()),
            "VALUE_CONVERTER",
            "serialization error",
        ),
        (
            Some(r#"{"id":1}"#.to_owned()),
            "VALUE_CONVERTER",
            "JsonConverter with schemas.enable",
        ),
        (
            Some(r#"{"schema":null,"payload":{"id":1}}"#.to_owned()),
            "TASK_PUT",
            "a HashMap value and null value schema",
        ),
        (
            Some(r#"{"schema":{"type":"int32"},"payload":1}"#.to_owned()),
            "TASK_PUT",
            "a Integer value and int32 value schema",
        ),
        (None, "TASK_PUT", "a null value and null value schema"),
        (Some(record(1, "twice")), "TASK_PUT", ""),
    ]
}

/// Of the record behind the first good one.
fn tells_why(letter: &OwnedMessage, (payload, stage, reason): &Bad, world: &str, index: usize) {
    assert_eq!(letter.payload(), payload.as_deref().map(str::as_bytes));
    assert_eq!(letter.key(), Some(&b"key"[..]));
    assert_eq!(
        letter.timestamp().to_millis(),
        Some(1_000 + i64::try_from(index).unwrap())
    );
    assert_eq!(header(letter, "original").as_deref(), Some("kept"));
    let told = |name: &str| header(letter, &format!("__connect.errors.{name}")).unwrap();
    assert_eq!(told("topic"), world);
    assert_eq!(told("partition"), "0");
    assert_eq!(told("offset"), (index + 1).to_string());
    assert_eq!(told("connector.name"), world);
    assert_eq!(told("task.id"), "0");
    assert_eq!(told("stage"), *stage);
    assert!(
        told("exception.message").contains(reason),
        "{}",
        told("exception.message")
    );
    assert!(told("exception.stacktrace").starts_with(&told("exception.class.name")));
    assert!(!told("class.name").is_empty());
}

// case 53, case 76, case 77, case 78, case 83, case 86, case 89
async fn bad_records_go_to_the_dead_letter_topic_and_good_ones_to_the_table(url: String) {
    let world = World::new(&url, "letters").await;
    let topic = world.name.clone();
    let dead_letters = format!("{topic}.dlq");
    world.create_topic(&topic).await;
    let keys = [
        ("topics", topic.as_str()),
        ("table.name.format", "sunk"),
        (
            "key.converter",
            "org.apache.kafka.connect.storage.StringConverter",
        ),
        ("insert.mode", "insert"),
        ("pk.mode", "record_value"),
        ("pk.fields", "id"),
        ("auto.create", "true"),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", dead_letters.as_str()),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ];
    let bad = bad_records();
    produce(&topic, &record(1, "a")).await;
    for (index, (payload, ..)) in bad.iter().enumerate() {
        produce_dated(
            &topic,
            payload.as_deref(),
            1_000 + i64::try_from(index).unwrap(),
        )
        .await;
    }
    produce(&topic, &record(2, "b")).await;
    let running = world.run(world.task(CONFLUENT, &keys).await);
    world.reaches(&[1, 2]).await;
    let mut letters = dead_letters_of(&dead_letters, bad.len());
    letters.sort_by_key(|letter| letter.timestamp().to_millis());
    for (index, (letter, bad)) in letters.iter().zip(&bad).enumerate() {
        tells_why(letter, bad, &world.name, index);
    }
    assert_eq!(
        header(&letters[5], "__connect.errors.exception.class.name").as_deref(),
        Some("java.sql.SQLException")
    );
    world.stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(world.committed(&topic), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_for_mariadb_go_to_the_dead_letter_topic() {
    on_mariadb(bad_records_go_to_the_dead_letter_topic_and_good_ones_to_the_table).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_for_postgres_go_to_the_dead_letter_topic() {
    on_postgres(bad_records_go_to_the_dead_letter_topic_and_good_ones_to_the_table).await;
}

// case 89
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_says_why_only_if_it_is_told_to() {
    on_mariadb(async |url: String| {
        let world = World::new(&url, "silent").await;
        let topic = world.name.clone();
        let dead_letters = format!("{topic}.dlq");
        world.create_topic(&topic).await;
        let keys = [
            ("topics", topic.as_str()),
            ("insert.mode", "insert"),
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", dead_letters.as_str()),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
        ];
        produce_dated(&topic, Some("{"), 1_000).await;
        let running = world.run(world.task(CONFLUENT, &keys).await);
        let letters = dead_letters_of(&dead_letters, 1);
        let names: Vec<_> = letters[0]
            .headers()
            .unwrap()
            .iter()
            .map(|header| header.key)
            .collect();
        assert_eq!(names, ["original"]);
        world.stop.cancel();
        running.await.unwrap().unwrap();
    })
    .await;
}

// case 87
#[tokio::test(flavor = "multi_thread")]
async fn attempts_to_connect_are_counted_and_then_the_task_fails() {
    on_mariadb(async |url| {
        let world = World::new(&url, "attempts").await;
        world.cable.cut();
        let keys = [
            ("topics", world.name.as_str()),
            ("pk.mode", "record_value"),
            ("connection.attempts", "2"),
            ("connection.backoff.ms", "10"),
            ("max.retries", "1000000"),
        ];
        let failed = world.run(world.task(CONFLUENT, &keys).await).await;
        let trace = failed.unwrap().unwrap_err().trace();
        assert!(
            trace.starts_with("no connection to the database after 2 attempts\nCaused by: "),
            "{trace}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_match_are_consumed_also_when_they_come_later() {
    on_mariadb(async |url| {
        let world = World::new(&url, "regex").await;
        let topic = |n: i64| format!("{}.{n}", world.name);
        world.create_topic(&topic(1)).await;
        world.create_topic(&format!("{}.x", world.name)).await;
        let regex = format!(r"{}\.\d", world.name);
        let keys = [
            ("topics.regex", regex.as_str()),
            ("table.name.format", "sunk"),
            ("pk.mode", "record_value"),
            ("pk.fields", "id"),
            ("auto.create", "true"),
            ("consumer.override.metadata.max.age.ms", "1000"),
        ];
        let running = world.run(world.task(CONFLUENT, &keys).await);
        produce(&topic(1), &record(1, "a")).await;
        produce(&format!("{}.x", world.name), &record(9, "a")).await;
        world.reaches(&[1]).await;
        world.create_topic(&topic(2)).await;
        produce(&topic(2), &record(2, "a")).await;
        world.reaches(&[1, 2]).await;
        world.stop.cancel();
        running.await.unwrap().unwrap();
    })
    .await;
}

// case 83, case 89
#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_twenty_megabytes_becomes_a_dead_letter_between_its_neighbours() {
    on_mariadb(async |url| {
        let world = World::new(&url, "large").await;
        let topic = world.name.clone();
        let dead_letters = format!("{topic}.dlq");
        world.create_topic(&topic).await;
        let sql = "CREATE TABLE sunk (id BIGINT PRIMARY KEY, name LONGTEXT)";
        world.db.execute_unprepared(sql).await.unwrap();
        let keys = [
            ("topics", topic.as_str()),
            ("table.name.format", "sunk"),
            ("insert.mode", "insert"),
            ("pk.mode", "record_value"),
            ("pk.fields", "id"),
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", dead_letters.as_str()),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
        ];
        produce(&topic, &record(1, "a")).await;
        produce(&topic, &record(2, &"x".repeat(20_000_000))).await;
        produce(&topic, &record(1, "twice")).await;
        produce(&topic, &record(3, "c")).await;
        let running = world.run(world.task(CONFLUENT, &keys).await);
        world.reaches(&[1, 3]).await;
        let letter = dead_letters_of(&dead_letters, 1).remove(0);
        let told = |name: &str| header(&letter, &format!("__connect.errors.{name}")).unwrap();
        assert_eq!(told("offset"), "1");
        assert_eq!(told("stage"), "TASK_PUT");
        assert_eq!(told("exception.class.name"), "java.sql.SQLException");
        assert!(told("exception.message").contains("larger than"));
        assert!(told("truncated").starts_with("20000"));
        world.stop.cancel();
        running.await.unwrap().unwrap();
        assert_eq!(world.committed(&topic), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_never_taken_ends_the_task() {
    on_mariadb(async |url| {
        let world = World::new(&url, "untaken").await;
        let topic = world.name.clone();
        let dead_letters = format!("{topic}.dlq");
        world.create_topic(&topic).await;
        world.create_topic_for(&dead_letters, "1000").await;
        let keys = [
            ("topics", topic.as_str()),
            ("insert.mode", "insert"),
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", dead_letters.as_str()),
        ];
        // Too large compressed as well.
        let garbage: String = (0..5_000).map(|number| number.to_string()).collect();
        produce(&topic, &garbage).await;
        let failed = world.run(world.task(CONFLUENT, &keys).await).await;
        let trace = failed.unwrap().unwrap_err().trace();
        assert!(
            trace.starts_with("the dead-letter topic does not take a record\nCaused by: "),
            "{trace}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_another_creates_at_the_same_time_is_written_to() {
    on_postgres(async |url| {
        let world = World::new(&url, "rival").await;
        let topic = world.name.clone();
        world.create_topic(&topic).await;
        let rival = crate::common::connect(&url).await.begin().await.unwrap();
        rival
            .execute_unprepared("CREATE TABLE sunk (id BIGINT PRIMARY KEY, name TEXT)")
            .await
            .unwrap();
        produce(&topic, &record(1, "a")).await;
        let keys = [&world.upserts()[..], &[("schema.evolution", "basic")]].concat();
        let running = world.run(world.task(DEBEZIUM, &keys).await);
        let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
             AND datname = current_database() AND query LIKE 'CREATE TABLE%'";
        world.has_rows(waiting).await;
        rival.commit().await.unwrap();
        world.reaches(&[1]).await;
        world.stop.cancel();
        running.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_to_the_schema_that_the_url_names() {
    on_postgres(async |url| {
        let world = World::new(&url, "schema").await;
        let topic = world.name.clone();
        world.create_topic(&topic).await;
        world.execute("CREATE SCHEMA shop").await;
        let url = format!("{}&currentSchema=shop", jdbc_url(&url));
        let keys = [
            ("connection.url", url.as_str()),
            ("schema.evolution", "basic"),
        ];
        let keys = [&world.upserts()[..], &keys].concat();
        let running = world.run(world.task(DEBEZIUM, &keys).await);
        produce(&topic, &record(1, "a")).await;
        let written = "SELECT 1 FROM information_schema.tables \
             WHERE table_schema = 'shop' AND table_name = 'sunk'";
        world.has_rows(written).await;
        world.has_rows("SELECT 1 FROM shop.sunk").await;
        world.stop.cancel();
        running.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_partitions_are_lost_is_given_up() {
    on_mariadb(async |url| {
        let world = World::new(&url, "expelled").await;
        world.create_topic(&world.name).await;
        let keys = [
            ("schema.evolution", "basic"),
            ("consumer.override.session.timeout.ms", "6000"),
            ("consumer.override.max.poll.interval.ms", "6000"),
        ];
        let keys = [&world.upserts()[..], &keys].concat();
        let mut task = world.task(DEBEZIUM, &keys).await;
        produce(&world.name, &record(1, "a")).await;
        while !matches!(task.step(&world.stop).await.unwrap(), Step::Wrote(_)) {}
        world.cable.cut();
        produce(&world.name, &record(2, "a")).await;
        let given_up = tokio::time::timeout(PATIENCE / 2, task.step(&world.stop)).await;
        assert_eq!(given_up.unwrap().unwrap(), Step::Waited);
        task.close().await;
    })
    .await;
}
