//! The worker's process with a source, on the stack of `cargo xtask stack up`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

mod columns;
mod kills;
mod lifecycle;
mod modes;
mod query;
mod refusals;
mod tutorial;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use shared::database;
use shared::settings::DatabaseSettings;

/// A worker and what it works on, all with names of their own.
struct World {
    url: String,
    db: DatabaseConnection,
    /// In front of topics and connectors.
    name: String,
    port: u16,
    worker: Child,
    http: reqwest::Client,
}

impl World {
    async fn start(url: &str) -> Self {
        let db = database::connect(&DatabaseSettings::at(url)).await.unwrap();
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let name = format!("source{now}");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let world = Self {
            url: url.to_owned(),
            db,
            worker: spawn(port, &name),
            name,
            port,
            http: http(),
        };
        world.is_up().await;
        world
    }

    async fn is_up(&self) {
        eventually("the worker", async || {
            self.get("/connectors").await.is_some()
        })
        .await;
    }

    fn kill(&mut self) {
        self.worker.kill().unwrap();
        self.worker.wait().unwrap();
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let answer = self.http.get(url).send().await.ok()?;
        answer.json().await.ok()
    }

    async fn post(&self, connector: &Value) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}/connectors", self.port);
        let answer = self.http.post(url).json(connector).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks something of the connector, without a body; the answer's status.
    async fn ask(&self, method: Method, connector: &Value, what: &str) -> u16 {
        let name = connector["name"].as_str().unwrap();
        let url = format!("http://127.0.0.1:{}/connectors/{name}{what}", self.port);
        let answer = self.http.request(method, url).send().await.unwrap();
        answer.status().as_u16()
    }

    /// The tutorial's JSON, with this world's names and addresses.
    fn here(&self, json: &str) -> Value {
        let json = json
            .replace("jdbc:mysql://localhost:3306/mydb", &self.jdbc())
            .replace("jdbc:mysql://127.0.0.1:3306/mydb", &self.jdbc())
            .replace("\"root\"", "\"test\"")
            .replace("test1357", "test")
            .replace("my_topic_", &format!("{}_", self.name))
            .replace("\"orders\"", &format!("\"{}\"", self.topic("orders")))
            .replace("my-", &format!("{}-", self.name));
        serde_json::from_str(&json).unwrap()
    }

    fn jdbc(&self) -> String {
        self.jdbc_of(&self.url)
    }

    fn jdbc_of(&self, url: &str) -> String {
        match self.backend() {
            DbBackend::Sqlite => {
                let path = url.trim_start_matches("sqlite://");
                format!("jdbc:sqlite:{}", path.trim_end_matches("?mode=rwc"))
            }
            backend => {
                let (_, server) = url.split_once('@').unwrap();
                let mysql = backend == DbBackend::MySql;
                let scheme = if mysql { "mysql" } else { "postgresql" };
                format!("jdbc:{scheme}://{server}")
            }
        }
    }

    fn backend(&self) -> DbBackend {
        self.db.get_database_backend()
    }

    /// A key that the database counts.
    fn counted(&self) -> &'static str {
        match self.backend() {
            DbBackend::Postgres => "serial primary key",
            DbBackend::Sqlite => "integer primary key autoincrement",
            _ => "int auto_increment primary key",
        }
    }

    async fn create_users(&self) {
        let id = self.counted();
        self.run(&format!("create table users(id {id}, name varchar(20))"))
            .await;
    }

    /// The tutorial's source at a quick pace, and with these keys.
    fn source(&self, extra: &Value) -> Value {
        let mut connector = self.here(tutorial::SOURCE);
        let config = connector["config"].as_object_mut().unwrap();
        config.insert("poll.interval.ms".to_owned(), json!("50"));
        for (key, value) in extra.as_object().unwrap() {
            match value {
                Value::Null => config.remove(key),
                value => config.insert(key.clone(), value.clone()),
            };
        }
        connector
    }

    async fn start_source(&self, extra: &Value) -> Value {
        let connector = self.source(extra);
        let (status, answer) = self.post(&connector).await;
        assert_eq!(status, 201, "{answer}");
        connector
    }

    async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    async fn text(&self, sql: &str) -> Vec<String> {
        let statement = Statement::from_string(self.backend(), sql);
        let Ok(rows) = self.db.query_all_raw(statement).await else {
            return Vec::new();
        };
        rows.iter()
            .map(|row| row.try_get_by_index(0).unwrap())
            .collect()
    }

    fn topic(&self, table: &str) -> String {
        format!("{}_{table}", self.name)
    }

    /// Of one partition.
    async fn create_topic(&self, name: &str) {
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
        let created = admin.create_topics([&topic], &AdminOptions::new()).await;
        created.unwrap().remove(0).unwrap();
    }

    /// The ids of the records of a table's topic.
    async fn ids(&self, table: &str) -> Vec<i64> {
        ids(&values_of(&self.topic(table)).await)
    }

    async fn reads(&self, table: &str, wanted: &[i64]) {
        let mut read = Vec::new();
        let reads = async || {
            read = self.ids(table).await;
            read == wanted
        };
        if !holds_eventually(reads).await {
            panic!("{read:?} instead of {wanted:?}");
        }
    }

    async fn status(&self, connector: &Value) -> Value {
        let name = connector["name"].as_str().unwrap();
        let status = self.get(&format!("/connectors/{name}/status")).await;
        status.unwrap_or_default()
    }

    /// Waits until the task has failed; its trace.
    async fn fault(&self, connector: &Value) -> String {
        let mut trace = None;
        eventually("a failed task", async || {
            let task = self.status(connector).await["tasks"][0].clone();
            trace = task["trace"].as_str().map(str::to_owned);
            trace.is_some()
        })
        .await;
        trace.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.worker.kill().ok();
        self.worker.wait().ok();
    }
}

/// Runs a case in a world of its own, and deletes its topics.
/// A connection is given up before the worker ends it, after five seconds: no request meets that.
fn http() -> reqwest::Client {
    let client = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(2));
    client.build().unwrap()
}

async fn in_world(url: String, case: impl AsyncFnOnce(&mut World)) {
    let mut world = World::start(&url).await;
    case(&mut world).await;
    let name = world.name.clone();
    drop(world);
    delete_topics(&name).await;
}

async fn on_mariadb(case: impl AsyncFnOnce(&mut World)) {
    test_database::on_mariadb(async |url| in_world(url, case).await).await;
}

async fn on_postgres(case: impl AsyncFnOnce(&mut World)) {
    test_database::on_postgres(async |url| in_world(url, case).await).await;
}

async fn on_sqlite(case: impl AsyncFnOnce(&mut World)) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    in_world(format!("sqlite://{}?mode=rwc", file.display()), case).await;
}

fn spawn(port: u16, name: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_connect-worker"))
        .env("CONNECT_WORKER__HTTP__BIND", format!("127.0.0.1:{port}"))
        .env("CONNECT_WORKER__KAFKA__BOOTSTRAP_SERVERS", kafka())
        // Alone: a test's connectors are its own.
        .env("CONNECT_WORKER__STORE__CONFIGS_TOPIC", "")
        .env(
            "CONNECT_WORKER__STORE__OFFSETS_TOPIC",
            format!("{name}_offsets"),
        )
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn kafka() -> String {
    std::env::var("STACK_KAFKA").unwrap_or_else(|_| "127.0.0.1:19092".to_owned())
}

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka())
        .set("group.id", "test")
        .set("enable.partition.eof", "true");
    config
}

async fn delete_topics(prefix: &str) {
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    let metadata = admin
        .inner()
        .fetch_metadata(None, Duration::from_secs(10))
        .unwrap();
    let topics: Vec<_> = metadata.topics().iter().map(|topic| topic.name()).collect();
    let topics: Vec<_> = topics
        .into_iter()
        .filter(|topic| topic.starts_with(prefix))
        .collect();
    admin
        .delete_topics(&topics, &AdminOptions::new())
        .await
        .unwrap();
}

/// The values of a topic of one partition, in their order.
fn values(topic: &str) -> Vec<String> {
    let consumer: BaseConsumer = client().create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&partitions).unwrap();
    let mut values = Vec::new();
    loop {
        match consumer.poll(Duration::from_secs(10)) {
            Some(Ok(message)) => {
                let payload = message.payload().unwrap().to_vec();
                values.push(String::from_utf8(payload).unwrap());
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => return values,
            // The topic is not there yet.
            Some(Err(_)) => return values,
        }
    }
}

async fn values_of(topic: &str) -> Vec<String> {
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || values(&topic))
        .await
        .unwrap()
}

fn ids(values: &[String]) -> Vec<i64> {
    let id = |value: &String| {
        let value: Value = serde_json::from_str(value).unwrap();
        value["payload"]["id"].as_i64().unwrap()
    };
    values.iter().map(id).collect()
}

async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    assert!(holds_eventually(holds).await, "{what}: not within 60 s");
}

async fn holds_eventually(mut holds: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..600 {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}
