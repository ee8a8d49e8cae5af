//! The same requests to Kafka Connect, of `cargo xtask stack up`, and to connect-worker:
//! they get the same answers.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod requests;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use connect_worker::{EnvSource, Settings, StoreSettings};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use requests::Step;

const PATIENCE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(100);

/// One of the two, and its connector there. `NAME` in a request stands for that.
struct Server {
    url: String,
    name: String,
    http: reqwest::Client,
}

type Answer = (StatusCode, Value);

impl Server {
    fn new(url: &str, name: String) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            name,
            http: reqwest::Client::new(),
        }
    }

    fn named(&self, text: &str) -> String {
        text.replace("NAME", &self.name)
    }

    /// Without what is not comparable.
    async fn ask(&self, method: &Method, path: &str, body: Option<&str>) -> Answer {
        let (status, body) = self.raw(method, path, body).await;
        (status, comparable(path, body))
    }

    async fn raw(&self, method: &Method, path: &str, body: Option<&str>) -> Answer {
        let url = format!("{}{}", self.url, self.named(path));
        let mut request = self.http.request(method.clone(), url);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(self.named(body));
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap().replace(&self.name, "NAME");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, body)
    }

    /// Repeats a GET until its body says so; the connector's state follows requests late.
    async fn until(&self, path: &str, expected: &[(&str, Value)]) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(&Method::GET, path, None).await;
            let holds = |(pointer, value): &(&str, Value)| answer.1.pointer(pointer) == Some(value);
            if expected.iter().all(holds) {
                return answer;
            }
            assert!(
                Instant::now() < deadline,
                "{}: GET {path}: not {expected:?} in {answer:?}",
                self.url
            );
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Leaves out what two workers cannot have in common: who they are, what else they have,
/// Java's stack traces and the documentation's wording; and the password, which one masks.
fn comparable(path: &str, body: Value) -> Value {
    let path = path.split('?').next().unwrap_or_default();
    match (path, blanked(body)) {
        ("/connectors", Value::Array(names)) => {
            names.into_iter().filter(|name| *name == "NAME").collect()
        }
        ("/connectors", Value::Object(all)) if all.contains_key("error_code") => all.into(),
        ("/connectors", Value::Object(all)) => {
            Value::Object(all.into_iter().filter(|(name, _)| name == "NAME").collect())
        }
        ("/connector-plugins", Value::Array(plugins)) => plugins
            .into_iter()
            .filter(|plugin| {
                requests::SHARED_PLUGINS
                    .iter()
                    .any(|class| plugin["class"] == *class)
            })
            .collect(),
        (_, body) => body,
    }
}

fn blanked(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let name = members.get("name").and_then(Value::as_str);
            let other_default = name.is_some_and(has_another_default);
            let blank = |(key, value): (String, Value)| match key.as_str() {
                "default_value" | "value" if other_default => (key, Value::Null),
                // That it is there is comparable.
                blank if BLANKS.contains(&blank) => (key, Value::from(!value.is_null())),
                _ => (key, blanked(value)),
            };
            Value::Object(members.into_iter().map(blank).collect())
        }
        Value::Array(items) => items.into_iter().map(blanked).collect(),
        other => other,
    }
}

const BLANKS: [&str; 7] = [
    "commit",
    "connection.password",
    "documentation",
    // The classes of all plugins.
    "recommended_values",
    "trace",
    "version",
    "worker_id",
];

/// Of a connector's keys: versions, and what this worker does where nothing is said.
fn has_another_default(key: &str) -> bool {
    key.ends_with("plugin.version") || ["batch.size", "quote.identifiers"].contains(&key)
}

struct Pair {
    connect: Server,
    worker: Server,
    producer: FutureProducer,
    differences: Vec<String>,
}

impl Pair {
    async fn run(&mut self, step: Step) {
        match step {
            Step::Same(method, path, body) => {
                let body = body.as_deref();
                let connect = self.connect.ask(&method, &path, body).await;
                let worker = self.worker.ask(&method, &path, body).await;
                self.compare(
                    &format!("{method} {path} {}", body.unwrap_or("")),
                    connect,
                    worker,
                );
            }
            Step::Until(path, expected) => {
                let connect = self.connect.until(path, &expected).await;
                let worker = self.worker.until(path, &expected).await;
                self.compare(&format!("GET {path} once {expected:?}"), connect, worker);
            }
            Step::Differs {
                method,
                path,
                body,
                connect,
                worker,
                why,
            } => {
                let body = body.as_deref();
                for (server, (status, text)) in [(&self.connect, connect), (&self.worker, worker)] {
                    let answer = server.raw(&method, &path, body).await;
                    let said = answer.1.to_string();
                    if answer.0 != status || !said.contains(text) {
                        self.differences.push(format!(
                            "{method} {path} ({why}):\n  expected of {} {status} {text}\n  but was {} {said}",
                            server.url, answer.0
                        ));
                    }
                }
            }
            Step::Produce(value) => {
                for server in [&self.connect, &self.worker] {
                    let record = FutureRecord::to(&server.name).key("1").payload(value);
                    self.producer.send(record, PATIENCE).await.unwrap();
                }
            }
        }
    }

    fn compare(&mut self, what: &str, connect: Answer, worker: Answer) {
        if connect.0 != worker.0 {
            let text = format!(
                "{what}\n  Connect: {} {}\n  worker:  {} {}",
                connect.0, connect.1, worker.0, worker.1
            );
            self.differences.push(text);
        } else if let Some(difference) = difference("", &connect.1, &worker.1) {
            self.differences.push(format!("{what}\n  {difference}"));
        }
    }
}

/// Where the first one is: a body can be long.
fn difference(place: &str, connect: &Value, worker: &Value) -> Option<String> {
    match (connect, worker) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let keys = theirs.keys().chain(ours.keys());
            keys.collect::<BTreeSet<_>>().into_iter().find_map(|key| {
                let place = format!("{place}/{key}");
                match (theirs.get(key), ours.get(key)) {
                    (Some(theirs), Some(ours)) => difference(&place, theirs, ours),
                    (theirs, ours) => Some(format!("{place}: Connect {theirs:?}, worker {ours:?}")),
                }
            })
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            let pairs = theirs.iter().zip(ours).enumerate();
            pairs
                .filter_map(|(at, (theirs, ours))| {
                    difference(&format!("{place}/{at}"), theirs, ours)
                })
                .next()
        }
        _ if connect == worker => None,
        _ => Some(format!("{place}: Connect {connect}, worker {worker}")),
    }
}

fn broker() -> String {
    std::env::var("STACK_KAFKA").unwrap_or_else(|_| "127.0.0.1:19092".to_owned())
}

async fn create_topics(names: &[&str]) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker());
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let topics: Vec<_> = names
        .iter()
        .map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1)))
        .collect();
    let created = admin
        .create_topics(&topics, &AdminOptions::new())
        .await
        .unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_answered_as_connect_answers_it() {
    test_database::on_mariadb(async |database| {
        let mut settings = Settings::default();
        settings.http.bind = "127.0.0.1:0".parse().unwrap();
        settings.kafka.bootstrap_servers = broker();
        settings.store = StoreSettings::in_memory();
        let worker = connect_worker::start(settings, EnvSource::process())
            .await
            .unwrap();

        let (_, unique) = database.rsplit_once('_').unwrap();
        let (theirs, ours) = (format!("parity-c-{unique}"), format!("parity-w-{unique}"));
        create_topics(&[&theirs, &ours]).await;
        let connect =
            std::env::var("STACK_CONNECT").unwrap_or_else(|_| "http://127.0.0.1:18083".to_owned());
        let mut client = ClientConfig::new();
        let mut pair = Pair {
            connect: Server::new(&connect, theirs),
            worker: Server::new(&format!("http://{}", worker.address()), ours),
            producer: client.set("bootstrap.servers", broker()).create().unwrap(),
            differences: Vec::new(),
        };
        for step in requests::steps(&database) {
            pair.run(step).await;
        }
        let differences = pair.differences.join("\n\n");
        assert!(differences.is_empty(), "\n{differences}");
        worker.stop().await;
    })
    .await;
}
