//! The worker's process with a source, on the stack of `cargo xtask stack up`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use shared::database;
use shared::settings::DatabaseSettings;
use tokio_util::sync::CancellationToken;

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
        let name = url.rsplit('/').next().unwrap().to_owned();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let world = Self {
            url: url.to_owned(),
            db,
            worker: spawn(port, &name),
            name,
            port,
            http: reqwest::Client::new(),
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

    /// The tutorial's JSON, with this world's names and addresses.
    fn here(&self, json: &str) -> Value {
        let server = self.url.split("@").nth(1).unwrap();
        let scheme = if self.url.starts_with("mysql") {
            "mysql"
        } else {
            "postgresql"
        };
        let json = json
            .replace(
                "jdbc:mysql://localhost:3306/mydb",
                &format!("jdbc:{scheme}://{server}"),
            )
            .replace("\"root\"", "\"test\"")
            .replace("test1357", "test")
            .replace("my_topic_", &format!("{}_", self.name))
            .replace("my-", &format!("{}-", self.name));
        serde_json::from_str(&json).unwrap()
    }

    fn source(&self, extra: &Value) -> Value {
        let mut connector = self.here(SOURCE);
        let config = connector["config"].as_object_mut().unwrap();
        config.extend(extra.as_object().unwrap().clone());
        connector
    }

    async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    async fn text(&self, sql: &str) -> Vec<String> {
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
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

    async fn delete_topics(&self, tables: &[&str]) {
        let topics: Vec<_> = tables.iter().map(|table| self.topic(table)).collect();
        let topics: Vec<_> = topics.iter().map(String::as_str).collect();
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        admin
            .delete_topics(&topics, &AdminOptions::new())
            .await
            .unwrap();
    }

    async fn fault(&self, connector: &str) -> Option<String> {
        let status = self.get(&format!("/connectors/{connector}/status")).await?;
        status["tasks"][0]["trace"].as_str().map(str::to_owned)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.worker.kill().ok();
        self.worker.wait().ok();
    }
}

fn spawn(port: u16, name: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_connect-worker"))
        .env("CONNECT_WORKER__HTTP__BIND", format!("127.0.0.1:{port}"))
        .env("CONNECT_WORKER__KAFKA__BOOTSTRAP_SERVERS", kafka())
        // Alone: a test's connectors are its own.
        .env("CONNECT_WORKER__STORE__CONFIGS_TOPIC", "")
        .env(
            "CONNECT_WORKER__OFFSET_STORAGE__NAME",
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

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within 60 s");
}

const SOURCE: &str = r#"{"name":"my-source-connect","config":{"connector.class":"io.confluent.connect.jdbc.JdbcSourceConnector","connection.url":"jdbc:mysql://localhost:3306/mydb","connection.user":"root","connection.password":"test1357","mode":"incrementing","incrementing.column.name":"id","table.whitelist":"users","topic.prefix":"my_topic_","tasks.max":"1"}}"#;
const SINK: &str = r#"{"name":"my-sink-connect","config":{"connector.class":"io.confluent.connect.jdbc.JdbcSinkConnector","connection.url":"jdbc:mysql://localhost:3306/mydb","connection.user":"root","connection.password":"test1357","auto.create":"true","auto.evolve":"true","delete.enabled":"false","tasks.max":"1","topics":"my_topic_users"}}"#;
const MISSPELT: &str = r#"{"name":"my-order-sink-connect","config":{"connector.class":"io.confluent.connect.jdbc.JdbcSingConnector","connection.url":"jdbc:mysql://127.0.0.1:3306/mydb","connection.user":"root","connection.password":"test1357","auto.create":"true","auto.evolve":"true","delete.enbaled":"false","tasks.max":"1","topics":"orders"}}"#;
const RECORD: &str = r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},{"type":"string","optional":true,"field":"pwd"},{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"created_at"}],"optional":false,"name":"users"},"payload":{"id":1,"name":"test","pwd":"test1234","created_at":1627815857000}}"#;
const TYPED: &str = r#"{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},{"type":"string","optional":true,"field":"pwd"}],"optional":false,"name":"users"},"payload":{"id":2,"name":"test2","pwd":"test2234"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorials_tables_and_records_are_as_it_prints_them() {
    test_database::on_mariadb(async |url: String| {
        let world = World::start(&url).await;
        world.run("create table users(id int auto_increment primary key, name varchar(20), pwd varchar(20), created_at datetime default NOW())").await;
        world.run("insert into users(name, pwd) values('test', 'test1234')").await;
        // The moment of the printed record.
        world.run("update users set created_at = '2021-08-01 11:04:17'").await;
        let source = world.here(SOURCE);
        let (status, created) = world.post(&source).await;
        assert_eq!((status, &created["type"]), (201, &json!("source")));
        assert_eq!(created["config"]["name"], source["name"]);
        assert_eq!(world.get("/connectors").await.unwrap(), json!([source["name"]]));
        let topic = world.topic("users");
        eventually("the record", async || values_of(&topic).await == [RECORD]).await;
        let path = format!("/connectors/{}/status", source["name"].as_str().unwrap());
        let status = world.get(&path).await.unwrap();
        assert_eq!(status["connector"]["state"], "RUNNING");
        assert_eq!(status["tasks"][0]["state"], "RUNNING");
        assert_eq!(status["type"], "source");

        assert_eq!(world.post(&world.here(SINK)).await.0, 201);
        let producer: FutureProducer = client().create().unwrap();
        let typed = FutureRecord::<(), _>::to(&topic).payload(TYPED);
        producer.send(typed, Duration::from_secs(10)).await.unwrap();
        let rows = format!(
            "SELECT CONCAT_WS('|', id, name, pwd, COALESCE(created_at, 'NULL')) FROM `{topic}` ORDER BY id"
        );
        let expected = [
            "1|test|test1234|2021-08-01 11:04:17.000",
            "2|test2|test2234|NULL",
        ];
        eventually("the rows", async || world.text(&rows).await == expected).await;

        let (status, refused) = world.post(&world.here(MISSPELT)).await;
        assert_eq!(status, 400);
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("did you mean io.confluent.connect.jdbc.JdbcSinkConnector?"), "{message}");
        world.delete_topics(&["users", "offsets"]).await;
    })
    .await;
}

/// The worker is killed again and again while rows come in.
async fn no_row_is_lost(url: String, id: &str) {
    const KILLS: usize = 4;
    const BATCH: usize = 7;
    let mut world = World::start(&url).await;
    world
        .run(&format!(
            "create table users(id {id} primary key, name varchar(20))"
        ))
        .await;
    let connector = world.source(&json!({"poll.interval.ms": "50", "batch.max.rows": BATCH}));
    assert_eq!(world.post(&connector).await.0, 201);
    let topic = world.topic("users");
    let enough = CancellationToken::new();
    let writer = tokio::spawn(write_until(world.db.clone(), enough.clone()));
    for _ in 0..KILLS {
        let seen = values_of(&topic).await.len();
        let progress = async || values_of(&topic).await.len() > seen + 2 * BATCH;
        eventually("progress", progress).await;
        world.kill();
        world.worker = spawn(world.port, &world.name);
        world.is_up().await;
        let status = world.post(&connector).await.0;
        assert!([201, 409].contains(&status), "{status}");
    }
    enough.cancel();
    let all: Vec<i64> = (1..=writer.await.unwrap()).collect();
    let mut read = Vec::new();
    eventually("the last row", async || {
        read = ids(&values_of(&topic).await);
        read.contains(&all[all.len() - 1])
    })
    .await;
    let mut distinct = read.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct, all);
    // A kill repeats no more than the batch that was under way.
    let repeats = read.len() - distinct.len();
    assert!(repeats <= KILLS * BATCH, "{repeats} repeats");
    world.delete_topics(&["users", "offsets"]).await;
}

/// How many rows it has written by then.
async fn write_until(db: DatabaseConnection, enough: CancellationToken) -> i64 {
    let mut rows = 0;
    while !enough.is_cancelled() {
        rows += 1;
        let sql = format!("insert into users(name) values('{rows}')");
        db.execute_unprepared(&sql).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_of_mariadb_is_lost_to_kills() {
    test_database::on_mariadb(async |url| no_row_is_lost(url, "int auto_increment").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_of_postgres_is_lost_to_kills() {
    test_database::on_postgres(async |url| no_row_is_lost(url, "serial").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_late_is_not_passed_over() {
    test_database::on_postgres(async |url| {
        use sea_orm::TransactionTrait;
        let world = World::start(&url).await;
        world
            .run("create table users(id serial primary key, name varchar(20))")
            .await;
        let late = world.db.begin().await.unwrap();
        late.execute_unprepared("insert into users(name) values('late')")
            .await
            .unwrap();
        world.run("insert into users(name) values('early')").await;
        let connector = world.source(&json!({"poll.interval.ms": "50"}));
        assert_eq!(world.post(&connector).await.0, 201);
        let topic = world.topic("users");
        tokio::time::sleep(Duration::from_secs(1)).await;
        late.commit().await.unwrap();
        eventually("both rows", async || {
            ids(&values_of(&topic).await) == [1, 2]
        })
        .await;
        world.delete_topics(&["users", "offsets"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_come_again_by_their_timestamp() {
    test_database::on_mariadb(async |url| {
        let world = World::start(&url).await;
        world.run("create table users(id int auto_increment primary key, name varchar(20), at timestamp(6) not null default now(6) on update now(6))").await;
        world.run("insert into users(name) values('a'), ('b'), ('c')").await;
        let connector = world.source(&json!({
            "mode": "timestamp+incrementing", "timestamp.column.name": "at",
            "poll.interval.ms": "50", "batch.max.rows": "2",
        }));
        assert_eq!(world.post(&connector).await.0, 201);
        let topic = world.topic("users");
        eventually("all rows", async || ids(&values_of(&topic).await) == [1, 2, 3]).await;
        world.run("update users set name = 'x' where id = 2").await;
        eventually("the change", async || ids(&values_of(&topic).await) == [1, 2, 3, 2]).await;
        world.delete_topics(&["users", "offsets"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_and_a_dropped_table_fail_the_task_with_its_name() {
    test_database::on_postgres(async |url| {
        let world = World::start(&url).await;
        let connector = world.source(&json!({"poll.interval.ms": "50"}));
        let name = connector["name"].as_str().unwrap();
        assert_eq!(world.post(&connector).await.0, 201);
        eventually("a failed task", async || world.fault(name).await.is_some()).await;
        let trace = world.fault(name).await.unwrap();
        assert!(trace.contains("there is no table users"), "{trace}");

        world
            .run("create table users(id serial primary key, name varchar(20))")
            .await;
        world.run("insert into users(name) values('a')").await;
        let restart = format!(
            "http://127.0.0.1:{}/connectors/{name}/tasks/0/restart",
            world.port
        );
        world.http.post(restart).send().await.unwrap();
        let topic = world.topic("users");
        eventually("the row", async || values_of(&topic).await.len() == 1).await;
        world.run("drop table users").await;
        eventually("a failed task", async || world.fault(name).await.is_some()).await;
        let trace = world.fault(name).await.unwrap();
        assert!(
            trace.starts_with("table public.users: there is no such table"),
            "{trace}"
        );
        world.delete_topics(&["users", "offsets"]).await;
    })
    .await;
}
