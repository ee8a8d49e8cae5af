//! Connectors outlive their worker, on the broker of `cargo xtask stack up`.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use reqwest::Client;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// A worker's process; killed when dropped.
struct Worker {
    process: Child,
    url: String,
    http: Client,
}

impl Worker {
    fn start(topic: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new(env!("CARGO_BIN_EXE_connect-worker"))
            .env("CONNECT_WORKER__HTTP__BIND", address.to_string())
            .env("CONNECT_WORKER__STORE__CONFIGS_TOPIC", topic)
            .env(
                "CONNECT_WORKER__KAFKA__BOOTSTRAP_SERVERS",
                std::env::var("STACK_KAFKA").unwrap(),
            )
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            process,
            url: format!("http://{address}/connectors"),
            http: Client::new(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        match self.http.get(format!("{}{path}", self.url)).send().await {
            Ok(answer) => answer.json().await.unwrap_or(Value::Null),
            Err(_) => Value::Null, // It has not started yet.
        }
    }

    async fn put(&self, path: &str, body: Value) -> u16 {
        let request = self.http.put(format!("{}{path}", self.url)).json(&body);
        request.send().await.unwrap().status().as_u16()
    }

    /// Waits until a connector's state is this.
    async fn shows(&self, state: &str) {
        let read = async || self.get("/c/status").await["connector"]["state"].clone();
        self.until(read, json!(state)).await;
    }

    async fn until(&self, mut read: impl AsyncFnMut() -> Value, wanted: Value) {
        let mut last = Value::Null;
        let waited = tokio::time::timeout(PATIENCE, async {
            while last != wanted {
                last = read().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let ended = waited.await;
        assert!(ended.is_ok(), "{last} instead of {wanted}");
    }
}

impl Drop for Worker {
    /// SIGKILL.
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn fresh_topic() -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("connect-worker-test-{now}")
}

fn config(batch_size: &str) -> Value {
    json!({
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
        "connection.url": "jdbc:sqlite::memory:",
        "connection.password": "hunter2",
        "batch.size": batch_size,
        "topics": "connect-worker-test-nothing",
    })
}

#[tokio::test]
async fn connectors_and_their_target_states_survive_a_sigkill() {
    let topic = fresh_topic();
    let worker = Worker::start(&topic);
    worker.until(async || worker.get("").await, json!([])).await;
    assert_eq!(worker.put("/c/config", config("7")).await, 201);
    assert_eq!(worker.put("/gone/config", config("7")).await, 201);
    assert_eq!(worker.put("/c/pause", Value::Null).await, 202);
    let delete = worker.http.delete(format!("{}/gone", worker.url));
    assert_eq!(delete.send().await.unwrap().status(), 204);
    drop(worker);

    let worker = Worker::start(&topic);
    worker.shows("PAUSED").await;
    assert_eq!(worker.get("").await, json!(["c"]));
    assert_eq!(worker.get("/c/config").await["batch.size"], "7");
}

#[tokio::test]
async fn a_standby_answers_and_takes_over_from_a_killed_leader() {
    let topic = fresh_topic();
    let leader = Worker::start(&topic);
    leader.until(async || leader.get("").await, json!([])).await;
    assert_eq!(leader.put("/c/config", config("7")).await, 201);
    leader.shows("RUNNING").await;

    let standby = Worker::start(&topic);
    standby.shows("UNASSIGNED").await;
    assert_eq!(standby.put("/c/config", config("8")).await, 200);
    let batch_size = async || leader.get("/c/config").await["batch.size"].clone();
    leader.until(batch_size, json!("8")).await;
    leader.shows("RUNNING").await;
    standby.shows("UNASSIGNED").await;

    drop(leader);
    standby.shows("RUNNING").await;
}
