//! A whole task on real Kafka and a real database, with a cable between them that can be
//! cut.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_worker::config::SinkConfig;
use connect_worker::sink::{SinkMetrics, Step, Task, TaskError, TaskId};
use prometheus_client::registry::Registry;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;
use shared::kafka::KafkaSettings;
use test_database::{Cable, on_mariadb};
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
        let admin: AdminClient<_> = client().create().unwrap();
        let topic = NewTopic::new(topic, 2, TopicReplication::Fixed(1))
            .set("max.message.bytes", "40000000");
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
        Task::new(id, config, &kafka, &metrics).await.unwrap()
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
    let (_, place) = url.rsplit_once('@').unwrap();
    format!("jdbc:mariadb://{place}?user=test&password=test")
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

fn first_dead_letter(topic: &str) -> OwnedMessage {
    let consumer: BaseConsumer = client().set("group.id", "none").create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&partitions).unwrap();
    consumer.poll(PATIENCE).unwrap().unwrap().detach()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_waited_for_at_the_start_and_in_mid_stream() {
    on_mariadb(async |url| {
        let world = World::new(&url, "away").await;
        let topic = world.name.clone();
        world.create_topic(&topic).await;
        world.cable.cut();
        let keys = [
            ("topics", topic.as_str()),
            ("collection.name.format", "sunk"),
            ("primary.key.mode", "record_value"),
            ("primary.key.fields", "id"),
            ("schema.evolution", "basic"),
            ("flush.max.retries", "1000000"),
            ("flush.retry.delay.ms", "50"),
        ];
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
        let letter = first_dead_letter(&dead_letters);
        let headers = letter.headers().unwrap();
        let header = |name: &str| {
            let name = format!("__connect.errors.{name}");
            let found = headers.iter().find(|header| header.key == name);
            String::from_utf8_lossy(found.unwrap().value.unwrap()).into_owned()
        };
        assert_eq!(header("offset"), "1");
        assert_eq!(header("stage"), "TASK_PUT");
        assert_eq!(header("exception.class.name"), "java.sql.SQLException");
        assert!(header("exception.message").contains("larger than"));
        assert!(header("truncated").starts_with("20000"));
        world.stop.cancel();
        running.await.unwrap().unwrap();
        assert_eq!(world.committed(&topic), 4);
    })
    .await;
}
