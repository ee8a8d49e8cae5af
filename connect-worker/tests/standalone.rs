//! `connect-worker --standalone`, on librdkafka's in-process broker and SQLite files.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use connect_worker::standalone::{read_connector, read_worker};
use connect_worker::{EnvSource, Settings};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use shared::database;
use shared::settings::DatabaseSettings;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    cluster: MockCluster<'static, DefaultProducerContext>,
    folder: TempDir,
}

/// A worker's process; killed when dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl World {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let world = Self {
            cluster,
            folder: tempfile::tempdir().unwrap(),
        };
        world.write(
            "worker.properties",
            &format!(
                "bootstrap.servers={}\nlisteners=http://127.0.0.1:0\n\
                 key.converter=org.apache.kafka.connect.storage.StringConverter\n\
                 value.converter=org.apache.kafka.connect.json.JsonConverter\n\
                 value.converter.schemas.enable=false\n\
                 offset.storage.file.filename={}\nplugin.path=/opt\nplugin.paht=/opt\n",
                world.cluster.bootstrap_servers(),
                world.file("connect.offsets").display()
            ),
        );
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    /// `connect-worker --standalone FILES`
    fn command(&self, files: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connect-worker"));
        let files = files.iter().map(|file| self.file(file));
        command.arg("--standalone").args(files);
        command
    }

    fn start(&self, files: &[&str]) -> Worker {
        Worker(self.command(files).stdout(Stdio::null()).spawn().unwrap())
    }

    /// Of a start that fails.
    fn refusal(&self, files: &[&str]) -> String {
        let Output { status, stderr, .. } = self.command(files).output().unwrap();
        assert!(!status.success());
        let path = self.folder.path().display().to_string();
        String::from_utf8(stderr).unwrap().replace(&path, "")
    }

    async fn database(&self) -> DatabaseConnection {
        let url = format!("sqlite://{}?mode=rwc", self.file("users.db").display());
        database::connect(&DatabaseSettings::at(&url))
            .await
            .unwrap()
    }

    /// The `id` of each record of the topic, as soon as there are so many.
    async fn ids(&self, topic: &str, count: usize) -> Vec<i64> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("group.id", "test")
            .create()
            .unwrap();
        let mut start = TopicPartitionList::new();
        start
            .add_partition_offset(topic, 0, Offset::Beginning)
            .unwrap();
        consumer.assign(&start).unwrap();
        let mut ids = Vec::new();
        while ids.len() < count {
            let received = tokio::time::timeout(PATIENCE, consumer.recv());
            let record = received.await.unwrap().unwrap();
            let value: Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
            ids.push(value["id"].as_i64().unwrap());
        }
        ids
    }

    async fn until_offsets_contain(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let read = || fs::read_to_string(self.file("connect.offsets")).unwrap_or_default();
        while !read().contains(text) {
            assert!(Instant::now() < deadline, "{}", read());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// `world` with three users, and a source of them in `source.properties`.
async fn three_users(world: &World) -> DatabaseConnection {
    world.cluster.create_topic(TOPIC, 1, 1).unwrap();
    let db = world.database().await;
    let create = "CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT)";
    db.execute_unprepared(create).await.unwrap();
    for id in 1..=3 {
        insert(&db, id).await;
    }
    world.write(
        "source.properties",
        &format!(
            "name=my-source\n\
             connector.class=io.confluent.connect.jdbc.JdbcSourceConnector\n\
             connection.url=jdbc:sqlite:{}\nmode=incrementing\nincrementing.column.name=id\n\
             table.whitelist=users\ntopic.prefix=my_topic_\npoll.interval.ms=50\n",
            world.file("users.db").display()
        ),
    );
    db
}

const TOPIC: &str = "my_topic_users";

async fn insert(db: &DatabaseConnection, id: i32) {
    let sql = format!("INSERT INTO users VALUES ({id}, 'a')");
    db.execute_unprepared(&sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_goes_on_where_its_offsets_file_says() {
    let world = World::new();
    let db = three_users(&world).await;
    let files = ["worker.properties", "source.properties"];
    let killed = world.start(&files);
    assert_eq!(world.ids(TOPIC, 3).await, [1, 2, 3]);
    world.until_offsets_contain("\"incrementing\":3").await;
    drop(killed);
    insert(&db, 4).await;
    let _again = world.start(&files);
    assert_eq!(world.ids(TOPIC, 4).await, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_a_source_are_shown_altered_and_reset() {
    let world = World::new();
    let _db = three_users(&world).await;
    let worker = read_worker(&world.file("worker.properties"), Settings::default()).unwrap();
    let source = read_connector(&world.file("source.properties")).unwrap();
    let worker = connect_worker::start_standalone(worker, vec![source], EnvSource::process());
    let worker = worker.await.unwrap();
    let ask = async |method: Method, path: &str, body: Value| {
        let url = format!("http://{}/connectors/my-source/{path}", worker.address());
        let request = reqwest::Client::new().request(method, url).json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    };
    let get = async |path: &str| ask(Method::GET, path, Value::Null).await.1;

    assert_eq!(world.ids(TOPIC, 3).await, [1, 2, 3]);
    world.until_offsets_contain("\"incrementing\":3").await;
    let shown = get("offsets").await;
    assert_eq!(shown["offsets"][0]["offset"], json!({"incrementing": 3}));
    assert_eq!(get("topics").await["my-source"]["topics"], json!([TOPIC]));

    assert_eq!(ask(Method::PUT, "stop", Value::Null).await.0, 204);
    let partition = &shown["offsets"][0]["partition"];
    let alter = async |partition: &Value, offset: Value| {
        let offsets = json!({"offsets": [{"partition": partition, "offset": offset}]});
        ask(Method::PATCH, "offsets", offsets).await
    };
    let (status, refused) = alter(partition, json!({"incrementing": "one"})).await;
    assert_eq!(status, 400, "{refused}");
    let (status, refused) = alter(&json!({"kafka_topic": "a"}), json!({"incrementing": 1})).await;
    assert_eq!(status, 400, "{refused}");
    assert_eq!(alter(partition, json!({"incrementing": 1})).await.0, 200);
    assert_eq!(ask(Method::PUT, "resume", Value::Null).await.0, 202);
    assert_eq!(world.ids(TOPIC, 5).await, [1, 2, 3, 2, 3]);

    assert_eq!(ask(Method::PUT, "stop", Value::Null).await.0, 204);
    assert_eq!(ask(Method::DELETE, "offsets", Value::Null).await.0, 200);
    assert_eq!(get("offsets").await, json!({"offsets": []}));
    worker.stop().await;
}

#[test]
fn what_a_file_has_wrong_stops_the_start_and_is_named() {
    let world = World::new();
    world.write("nameless.properties", "topics=a\n");
    let nameless = world.refusal(&["worker.properties", "nameless.properties"]);
    assert!(nameless.contains("/nameless.properties: "), "{nameless}");
    assert!(nameless.contains("'name'"), "{nameless}");

    world.write(
        "bad.json",
        r#"{"name": "bad", "connector.class": "Nothing"}"#,
    );
    let bad = world.refusal(&["worker.properties", "bad.json"]);
    assert!(bad.contains("connector bad: "), "{bad}");
    assert!(bad.contains("available connectors are"), "{bad}");

    world.write("empty.properties", "");
    let empty = world.refusal(&["empty.properties"]);
    assert!(
        empty.contains("/empty.properties: offset.storage.file.filename: "),
        "{empty}"
    );
    assert!(
        world
            .refusal(&["absent.properties"])
            .contains("/absent.properties")
    );
}

#[test]
fn a_worker_key_that_connect_does_not_have_is_warned_of() {
    let world = World::new();
    world.write("bad.properties", "name=bad\n");
    // The start fails for another reason: the warning is in the log before.
    let files = ["worker.properties", "bad.properties"];
    let output = world.command(&files).output().unwrap();
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(
        log.contains("worker properties ignored") && log.contains("plugin.paht"),
        "{log}"
    );
    assert!(!log.contains("plugin.path,"), "{log}");
}

#[test]
fn the_help_shows_both_ways_to_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_connect-worker"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("connect-worker [--config FILE]"), "{help}");
    assert!(
        help.contains("connect-worker --standalone WORKER.PROPERTIES [CONNECTOR.PROPERTIES]..."),
        "{help}"
    );
}
