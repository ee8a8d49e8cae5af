//! A worker from REST to rows, on librdkafka's in-process broker and a SQLite file.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeMap;
use std::time::Duration;

use connect_worker::{EnvSource, Settings, StoreSettings, Worker};
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait,
};
use serde_json::{Value, json};
use shared::database;
use shared::settings::DatabaseSettings;
use tempfile::TempDir;

struct World {
    cluster: MockCluster<'static, DefaultProducerContext>,
    worker: Worker,
    producer: FutureProducer,
    http: reqwest::Client,
    db: DatabaseConnection,
    _folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        for (topic, partitions) in [("orders", 3), ("orders-sink.dlq", 1)] {
            cluster.create_topic(topic, partitions, 1).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders.db").display().to_string();
        let variables = BTreeMap::from([
            ("ORDERS_SINK_URL".to_owned(), format!("jdbc:sqlite:{file}")),
            ("ORDERS_SINK_USERNAME".to_owned(), String::new()),
            ("ORDERS_SINK_PASSWORD".to_owned(), String::new()),
            ("ORDERS_SINK_TASKS_MAX".to_owned(), "2".to_owned()),
            ("ORDERS_SINK_DLQ_REPLICATION".to_owned(), "1".to_owned()),
        ]);
        let mut settings = Settings::default();
        settings.http.bind = "127.0.0.1:0".parse().unwrap();
        settings.store = StoreSettings::in_memory();
        settings.kafka.bootstrap_servers = cluster.bootstrap_servers();
        let properties = [
            ("fetch.wait.max.ms", "50"),
            // This broker lets a group that somebody left wait for so long.
            ("session.timeout.ms", "3000"),
            ("heartbeat.interval.ms", "500"),
        ];
        settings.kafka.properties = properties
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let env = EnvSource::with_overrides(variables);
        let worker = connect_worker::start(settings, env).await.unwrap();
        let url = format!("sqlite://{file}?mode=rwc");
        let db = database::connect(&DatabaseSettings::at(&url))
            .await
            .unwrap();
        let producer = client(&cluster).create().unwrap();
        Self {
            cluster,
            worker,
            producer,
            http: reqwest::Client::new(),
            db,
            _folder: folder,
        }
    }

    async fn create_table(&self) {
        let sql =
            "CREATE TABLE orders (id TEXT PRIMARY KEY, qty INTEGER NOT NULL CHECK (qty < 100))";
        self.db.execute_unprepared(sql).await.unwrap();
    }

    async fn register(&self) {
        self.register_as("orders-sink", "orders").await;
    }

    /// Registers the connector of the repository, for one topic.
    async fn register_as(&self, name: &str, topic: &str) {
        let json = include_str!("../../connectors/orders-sink.json");
        let mut connector: Value = serde_json::from_str(json).unwrap();
        connector["name"] = json!(name);
        connector["config"]["topics"] = json!(topic);
        connector["config"]["flush.retry.delay.ms"] = json!("50");
        let request = self.http.post(self.url("/connectors")).json(&connector);
        assert_eq!(answer(request).await.0, 201);
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.worker.address())
    }

    async fn dead_letters(&self) -> Vec<Value> {
        let request = self
            .http
            .get(self.url("/connectors/orders-sink/dead-letters"));
        let (status, page) = answer(request).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    }

    async fn replay(&self, connector: &str, letter: &Value) -> (u16, Value) {
        let (partition, offset) = (&letter["partition"], &letter["offset"]);
        let path = format!("/connectors/{connector}/dead-letters/{partition}/{offset}/replay");
        answer(self.http.post(self.url(&path))).await
    }

    /// As readiness and metrics tell it.
    async fn letters_waiting(&self, expected: i64) {
        eventually("the letters are counted", async || {
            let (_, readiness) = answer(self.http.get(self.url("/readyz"))).await;
            readiness["dead_letters"] == expected
        })
        .await;
        let metrics = self.http.get(self.url("/metrics")).send().await.unwrap();
        let line = format!(
            "connect_worker_sink_dead_letters_waiting{{connector=\"orders-sink\"}} {expected}\n"
        );
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains(&line), "{metrics}");
    }

    async fn produce(&self, key: &str, value: &str) {
        let record = FutureRecord::to("orders").key(key).payload(value);
        self.producer
            .send(record, Duration::from_secs(5))
            .await
            .unwrap();
    }

    async fn rows(&self) -> Vec<(String, i32)> {
        let sql = "SELECT id, qty FROM orders ORDER BY id";
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let rows = self.db.query_all_raw(statement).await.unwrap();
        let row = |row: &sea_orm::QueryResult| {
            (
                row.try_get("", "id").unwrap(),
                row.try_get("", "qty").unwrap(),
            )
        };
        rows.iter().map(row).collect()
    }

    /// A transaction that has written, and so keeps all others from writing.
    async fn lock(&self) -> DatabaseTransaction {
        let transaction = self.db.begin().await.unwrap();
        transaction
            .execute_unprepared("CREATE TABLE lock (id INTEGER)")
            .await
            .unwrap();
        transaction
    }

    async fn status(&self) -> Value {
        let url = format!(
            "http://{}/connectors/orders-sink/status",
            self.worker.address()
        );
        self.http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn dead_letter(&self) -> OwnedMessage {
        let consumer: StreamConsumer = client(&self.cluster)
            .set("group.id", "test")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        let mut partitions = rdkafka::TopicPartitionList::new();
        partitions
            .add_partition_offset("orders-sink.dlq", 0, rdkafka::Offset::Beginning)
            .unwrap();
        consumer.assign(&partitions).unwrap();
        let letter = tokio::time::timeout(Duration::from_secs(30), consumer.recv()).await;
        letter.unwrap().unwrap().detach()
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn client(cluster: &MockCluster<'static, DefaultProducerContext>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config
}

fn order(id: &str, qty: i32) -> String {
    let field = |name: &str, kind: &str| json!({"type": kind, "optional": false, "field": name});
    let fields = [field("id", "string"), field("qty", "int32")];
    let schema = json!({"type": "struct", "fields": fields, "optional": false, "name": "orders"});
    json!({"schema": schema, "payload": {"id": id, "qty": qty}}).to_string()
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within 30 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_become_rows_and_bad_ones_dead_letters() {
    let world = World::start().await;
    world.create_table().await;
    world.register().await;
    for n in 0..50 {
        let id = format!("{n:02}");
        world.produce(&id, &order(&id, n)).await;
    }
    world.produce("bad", "not json").await;
    world.produce("01", &order("01", 77)).await;
    eventually("all rows", async || {
        let rows = world.rows().await;
        rows.len() == 50 && rows[1] == ("01".to_owned(), 77)
    })
    .await;
    let letter = world.dead_letter().await;
    assert_eq!(letter.key(), Some(&b"bad"[..]));
    assert_eq!(letter.payload(), Some(&b"not json"[..]));
    let header = |key: &str| {
        let headers = letter.headers().unwrap();
        let header = headers
            .iter()
            .find(|header| header.key == format!("__connect.errors.{key}"));
        String::from_utf8(header.unwrap().value.unwrap().to_vec()).unwrap()
    };
    assert_eq!(header("topic"), "orders");
    assert_eq!(header("connector.name"), "orders-sink");
    assert_eq!(header("stage"), "VALUE_CONVERTER");
    assert_eq!(
        header("class.name"),
        "org.apache.kafka.connect.json.JsonConverter"
    );
    assert_eq!(
        header("exception.class.name"),
        "org.apache.kafka.connect.errors.DataException"
    );
    assert!(header("exception.message").starts_with("Converting byte[] to Kafka Connect data"));
    assert_eq!(world.status().await["tasks"][1]["state"], "RUNNING");
    world.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_database_refuses_does_not_hold_up_its_neighbours() {
    let world = World::start().await;
    world.create_table().await;
    for n in 0..40 {
        let qty = if n == 17 { 1_000 } else { n };
        world
            .produce("same partition", &order(&format!("{n:02}"), qty))
            .await;
    }
    world.register().await;
    eventually("the good rows", async || world.rows().await.len() == 39).await;
    let letter = world.dead_letter().await;
    assert_eq!(letter.payload(), Some(order("17", 1_000).as_bytes()));
    world.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_fails_the_task_until_it_is_restarted() {
    let world = World::start().await;
    world.register().await;
    world.produce("01", &order("01", 1)).await;
    let failed = async || {
        let status = world.status().await;
        let tasks = status["tasks"].as_array().unwrap().clone();
        tasks.into_iter().find(|task| task["state"] == "FAILED")
    };
    eventually("a failed task", async || failed().await.is_some()).await;
    assert_eq!(
        failed().await.unwrap()["trace"],
        "Could not find table: orders"
    );
    world.create_table().await;
    let url = format!(
        "http://{}/connectors/orders-sink/restart?includeTasks=true&onlyFailed=true",
        world.worker.address()
    );
    assert_eq!(world.http.post(url).send().await.unwrap().status(), 202);
    eventually("the row", async || {
        world.rows().await == [("01".to_owned(), 1)]
    })
    .await;
    assert!(failed().await.is_none());
    world.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for() {
    let world = World::start().await;
    world.create_table().await;
    let lock = world.lock().await;
    world.register().await;
    world.produce("01", &order("01", 1)).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(world.rows().await, []);
    assert_eq!(world.status().await["tasks"][0]["state"], "RUNNING");
    lock.commit().await.unwrap();
    eventually("the row", async || world.rows().await.len() == 1).await;
    world.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_goes_back_once_and_only_when_it_can_be_written() {
    let world = World::start().await;
    world.create_table().await;
    world.register().await;
    world.produce("17", &order("17", 1_000)).await;
    world.letters_waiting(1).await;
    world.produce("17", "not json").await;
    world.letters_waiting(2).await;
    let letters = world.dead_letters().await;
    let (row, garbage) = (&letters[0], &letters[1]);
    assert!(row["reason"].as_str().unwrap().contains("CHECK"), "{row}");
    assert_eq!(row["original"]["topic"], "orders");
    let payload = json!({"encoding": "utf-8", "text": order("17", 1_000)});
    assert_eq!(row["payload"], payload);
    for (letter, reason) in [(row, "CHECK"), (garbage, "Converting byte[]")] {
        let (status, error) = world.replay("orders-sink", letter).await;
        let message = error["message"].as_str().unwrap();
        assert!(status == 422 && message.contains(reason), "{error}");
    }

    // Whoever shares the topic has other letters.
    world.register_as("other", "others").await;
    let (status, error) = world.replay("other", row).await;
    let message = error["message"].as_str().unwrap();
    assert!(
        status == 422 && message.contains("of connector orders-sink"),
        "{error}"
    );

    let sql = "ALTER TABLE orders RENAME TO strict; \
               CREATE TABLE orders (id TEXT PRIMARY KEY, qty INTEGER NOT NULL)";
    world.db.execute_unprepared(sql).await.unwrap();
    for status in ["replayed", "already replayed"] {
        let expected = (200, json!({ "status": status }));
        assert_eq!(world.replay("orders-sink", row).await, expected);
    }
    eventually("the row", async || {
        world.rows().await == [("17".to_owned(), 1_000)]
    })
    .await;
    assert!(world.dead_letters().await[0]["replayed_at"].is_string());
    let nowhere = json!({"partition": 0, "offset": 999});
    assert_eq!(world.replay("orders-sink", &nowhere).await.0, 404);
    let url = world.url("/connectors/other");
    assert_eq!(world.http.delete(url).send().await.unwrap().status(), 204);
    world.letters_waiting(1).await;
    world.worker.stop().await;
}
