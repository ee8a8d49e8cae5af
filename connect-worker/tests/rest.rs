//! Kafka Connect's REST API, without a broker.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::collections::{BTreeMap, BTreeSet};

use connect_worker::{EnvSource, Settings, StoreSettings, Worker};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

struct Client {
    worker: Worker,
    http: reqwest::Client,
}

impl Client {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let mut settings = Settings::default();
        settings.http.bind = "127.0.0.1:0".parse().unwrap();
        settings.kafka.bootstrap_servers = "127.0.0.1:1".to_owned();
        settings.store = StoreSettings::in_memory();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let env = EnvSource::with_overrides(variables.collect::<BTreeMap<_, _>>());
        let worker = connect_worker::start(settings, env).await.unwrap();
        Self {
            worker,
            http: reqwest::Client::new(),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let url = format!("http://{}{path}", self.worker.address());
        let request = self.http.request(method, url);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.send(Method::GET, path, None).await).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.send(Method::POST, path, Some(body)).await).await
    }

    async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.send(Method::PUT, path, Some(body)).await).await
    }
}

async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn config() -> Value {
    json!({
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
        "connection.url": "jdbc:sqlite::memory:",
        "connection.password": "hunter2",
        "auto.create": "true",
        "tasks.max": 2,
        "topics": "my_topic_users",
    })
}

fn connector(name: &str) -> Value {
    json!({"name": name, "config": config()})
}

fn error(code: u16, message: &str) -> (StatusCode, Value) {
    let status = StatusCode::from_u16(code).unwrap();
    (status, json!({"error_code": code, "message": message}))
}

/// The state of a connector or a task.
fn running(mut members: Value, worker_id: &str) -> Value {
    members["state"] = json!("RUNNING");
    members["worker_id"] = json!(worker_id);
    members["version"] = json!(env!("CARGO_PKG_VERSION"));
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_lives_as_in_connect() {
    let client = Client::start(&[]).await;
    assert_eq!(client.get("/connectors").await, (StatusCode::OK, json!([])));

    let response = client
        .send(Method::POST, "/connectors", Some(connector("my-sink")))
        .await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["location"], "/connectors/my-sink");
    let created: Value = response.json().await.unwrap();
    assert_eq!(created["config"]["name"], "my-sink");
    assert_eq!(created["config"]["tasks.max"], "2");
    assert_eq!(created["config"]["connection.password"], "********");

    let task = |task: i32| json!({"connector": "my-sink", "task": task});
    let (_, info) = client.get("/connectors/my-sink").await;
    assert_eq!(info["tasks"], json!([task(0), task(1)]));
    assert_eq!(client.get("/connectors").await.1, json!(["my-sink"]));
    assert_eq!(
        client.get("/connectors/my-sink/config").await.1,
        info["config"]
    );
    assert_eq!(
        client.get("/connectors/my-sink/tasks").await.1[1]["id"],
        task(1)
    );

    let worker_id = client.worker.address().to_string();
    let running = |members| running(members, &worker_id);
    let (status, body) = client.get("/connectors/my-sink/status").await;
    let expected = json!({
        "name": "my-sink",
        "connector": running(json!({})),
        "tasks": [running(json!({"id": 0})), running(json!({"id": 1}))],
        "type": "sink",
    });
    assert_eq!((status, &body), (StatusCode::OK, &expected));
    assert_eq!(
        client.get("/connectors/my-sink/tasks/1/status").await.1,
        running(json!({"id": 1}))
    );
    let (_, expanded) = client.get("/connectors?expand=status&expand=info").await;
    assert_eq!(
        expanded["my-sink"],
        json!({"status": expected, "info": info})
    );

    let exists = error(409, "Connector my-sink already exists");
    assert_eq!(
        client.post("/connectors", connector("my-sink")).await,
        exists
    );
    let deleted = client
        .send(Method::DELETE, "/connectors/my-sink", None)
        .await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let gone = error(404, "Connector my-sink not found");
    assert_eq!(client.get("/connectors/my-sink").await, gone);
    client.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_can_be_put_and_put_again() {
    let client = Client::start(&[]).await;
    let path = "/connectors/x/config";
    assert_eq!(client.put(path, config()).await.0, StatusCode::CREATED);
    assert_eq!(client.put(path, config()).await.0, StatusCode::OK);
    let (_, mut edited) = client.get(path).await;
    edited["tasks.max"] = json!("1");
    assert_eq!(client.put(path, edited).await.0, StatusCode::OK);
    let (_, status) = client.get("/connectors/x/status").await;
    assert_eq!(status["tasks"].as_array().unwrap().len(), 1);
    let mut other = config();
    other["name"] = json!("y");
    let (code, body) = client.put(path, other).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert_eq!(
        body["message"],
        "Connector name configuration (y) doesn't match connector name in the URL (x)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_changes_some_keys_and_keeps_the_password() {
    let client = Client::start(&[]).await;
    client.post("/connectors", connector("x")).await;
    let patch = async |body: Value| {
        let sent = client.send(Method::PATCH, "/connectors/x/config", Some(body));
        answer(sent.await).await
    };
    let changes = json!({"tasks.max": "1", "auto.create": null, "connection.password": "********"});
    let (status, info) = patch(changes).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(info["config"]["tasks.max"], "1");
    assert_eq!(info["config"]["auto.create"], Value::Null);
    assert_eq!(info["config"]["connection.password"], "********");
    let (_, tasks) = client.get("/connectors/x/tasks").await;
    assert_eq!(tasks.as_array().unwrap().len(), 1);
    let (status, _) = patch(json!({"tasks.max": "none"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (_, config) = client.get("/connectors/x/config").await;
    assert_eq!(config["tasks.max"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_listed_with_their_keys() {
    let client = Client::start(&[]).await;
    let (_, connectors) = client.get("/connector-plugins").await;
    let connectors = connectors.as_array().unwrap();
    assert_eq!(connectors.len(), 5);
    let (_, all) = client.get("/connector-plugins?connectorsOnly=false").await;
    assert_eq!(all.as_array().unwrap().len(), 13);
    for connector in connectors {
        let class = connector["class"].as_str().unwrap();
        let (status, keys) = client
            .get(&format!("/connector-plugins/{class}/config"))
            .await;
        assert_eq!(status, StatusCode::OK);
        let keys = keys.as_array().unwrap();
        let names: BTreeSet<_> = keys
            .iter()
            .map(|key| key["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.len(), keys.len(), "{class}: a key is there twice");
        assert!(
            names.contains("connection.url") && names.contains("tasks.max"),
            "{class}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validation_tells_each_fault_at_its_key() {
    let client = Client::start(&[]).await;
    let mut config = config();
    config["name"] = json!("x");
    config["insert.mode"] = json!("upsrt");
    config["transforms"] = json!("route");
    config["auto.craete"] = json!("true");
    config.as_object_mut().unwrap().remove("connection.url");
    let path = "/connector-plugins/JdbcSinkConnector/config/validate";
    let (status, infos) = client.put(path, config.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(infos["name"], config["connector.class"]);
    let configs = infos["configs"].as_array().unwrap();
    let of = |key: &str| {
        configs
            .iter()
            .find(|config| config["value"]["name"] == key)
            .unwrap()
    };
    let faulty = configs
        .iter()
        .filter(|config| config["value"]["errors"] != json!([]));
    let faulty: BTreeSet<_> = faulty
        .map(|config| config["value"]["name"].as_str().unwrap())
        .collect();
    let expected = [
        "auto.craete",
        "connection.url",
        "insert.mode",
        "transforms.route.type",
    ];
    assert_eq!(faulty, BTreeSet::from(expected));
    assert_eq!(infos["error_count"], 4);
    assert_eq!(of("insert.mode")["value"]["value"], "upsrt");
    assert_eq!(of("pk.mode")["value"]["value"], "none");
    assert_eq!(of("connection.password")["value"]["value"], "[hidden]");
    assert_eq!(
        of("transforms.route.type")["definition"]["group"],
        "Transforms: route"
    );
    assert_eq!(of("auto.craete")["definition"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_altered_of_stopped_connectors_only() {
    let client = Client::start(&[]).await;
    client.post("/connectors", connector("x")).await;
    let offsets = json!({"offsets": [{
        "partition": {"kafka_topic": "my_topic_users", "kafka_partition": 0},
        "offset": {"kafka_offset": "seven"},
    }]});
    let path = "/connectors/x/offsets";
    let patch = async || {
        answer(
            client
                .send(Method::PATCH, path, Some(offsets.clone()))
                .await,
        )
        .await
    };
    let (status, running) = patch().await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = running["message"].as_str().unwrap();
    assert!(
        message.starts_with("Connectors must be in the STOPPED state"),
        "{message}"
    );
    client.send(Method::PUT, "/connectors/x/stop", None).await;
    let (status, stopped) = patch().await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = stopped["message"].as_str().unwrap();
    assert!(
        message.contains("'seven'. Offset values for sink connectors need to be integers"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_resume_stop_and_restart_answer_as_in_connect() {
    let client = Client::start(&[]).await;
    client.post("/connectors", connector("x")).await;
    let states = async || {
        let (_, status) = client.get("/connectors/x/status").await;
        let tasks = status["tasks"].as_array().unwrap().clone();
        (
            status["connector"]["state"].clone(),
            tasks.first().map(|task| task["state"].clone()),
        )
    };
    let act = async |method: Method, path: &str| client.send(method, path, None).await.status();
    assert_eq!(
        act(Method::PUT, "/connectors/x/pause").await,
        StatusCode::ACCEPTED
    );
    assert_eq!(states().await, (json!("PAUSED"), Some(json!("PAUSED"))));
    assert_eq!(
        act(Method::PUT, "/connectors/x/stop").await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(states().await, (json!("STOPPED"), None));
    assert_eq!(
        act(Method::PUT, "/connectors/x/resume").await,
        StatusCode::ACCEPTED
    );
    assert_eq!(states().await, (json!("RUNNING"), Some(json!("RUNNING"))));
    assert_eq!(
        act(Method::POST, "/connectors/x/restart").await,
        StatusCode::NO_CONTENT
    );
    let restart = "/connectors/x/restart?includeTasks=true&onlyFailed=true";
    assert_eq!(act(Method::POST, restart).await, StatusCode::ACCEPTED);
    assert_eq!(
        act(Method::POST, "/connectors/x/tasks/0/restart").await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        act(Method::POST, "/connectors/x/tasks/9/restart").await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(states().await, (json!("RUNNING"), Some(json!("RUNNING"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_connector_is_told_in_connects_words() {
    let client = Client::start(&[]).await;
    for (method, path, message) in [
        (
            Method::PUT,
            "/connectors/nope/pause",
            "Unknown connector nope",
        ),
        (
            Method::POST,
            "/connectors/nope/restart",
            "Unknown connector: nope",
        ),
        (
            Method::DELETE,
            "/connectors/nope",
            "Connector nope not found",
        ),
        (
            Method::GET,
            "/connectors/nope/config",
            "Connector nope not found",
        ),
        (
            Method::GET,
            "/connectors/nope/status",
            "No status found for connector nope",
        ),
        (
            Method::GET,
            "/connectors/nope/tasks/0/status",
            "No status found for task nope-0",
        ),
    ] {
        let refused = answer(client.send(method, path, None).await).await;
        assert_eq!(refused, error(404, message), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn placeholders_are_filled_in_at_the_start_and_never_shown() {
    let client = Client::start(&[("SINK_URL", "jdbc:sqlite::memory:")]).await;
    let mut good = connector("good");
    good["config"]["connection.url"] = json!("${env:SINK_URL}");
    let (_, created) = client.post("/connectors", good).await;
    assert_eq!(created["config"]["connection.url"], "${env:SINK_URL}");
    let mut bad = connector("bad");
    bad["config"]["connection.url"] = json!("${env:NO_SUCH_SINK_URL}");
    assert_eq!(client.post("/connectors", bad).await.0, StatusCode::CREATED);
    let (_, status) = client.get("/connectors/bad/status").await;
    assert_eq!(status["connector"]["state"], "FAILED");
    assert_eq!(
        status["connector"]["trace"],
        "environment variables are not set: NO_SUCH_SINK_URL"
    );
    assert_eq!(
        client.get("/connectors/good/status").await.1["connector"]["state"],
        "RUNNING"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configurations_are_answered_with_all_their_faults() {
    let client = Client::start(&[]).await;
    // As the tutorial prints it.
    let misspelt = json!({"name": "my-order-sink-connect", "config": {
        "connector.class": "io.confluent.connect.jdbc.JdbcSingConnector",
        "connection.url": "jdbc:mysql://127.0.0.1:3306/mydb",
        "connection.user": "root",
        "connection.password": "test1357",
        "auto.create": "true",
        "auto.evolve": "true",
        "delete.enbaled": "false",
        "tasks.max": "1",
        "topics": "orders",
    }});
    let (status, body) = client.post("/connectors", misspelt).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("did you mean io.confluent.connect.jdbc.JdbcSinkConnector?"));

    let mut invalid = connector("x");
    invalid["config"]["connection.url"] = json!("jdbc:oracle:x");
    invalid["config"]["insert.mode"] = json!("multi");
    let (status, body) = client.post("/connectors", invalid).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = body["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "Connector configuration is invalid and contains the following 2 error(s):\n"
        ),
        "{message}"
    );
    assert_eq!(client.get("/connectors").await.1, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_the_answer_has_connects_form() {
    let client = Client::start(&[]).await;
    assert_eq!(
        client.get("/nowhere").await,
        error(404, "HTTP 404 Not Found")
    );
    let wrong = client.send(Method::PATCH, "/connectors", None).await;
    assert_eq!(
        answer(wrong).await,
        error(405, "HTTP 405 Method Not Allowed")
    );
    let url = format!("http://{}/connectors", client.worker.address());
    let plain = client.http.post(&url).body("{}").send().await.unwrap();
    assert_eq!(
        answer(plain).await,
        error(415, "HTTP 415 Unsupported Media Type")
    );
    let huge = client
        .post("/connectors", json!({"name": "x".repeat(10_000_000)}))
        .await;
    assert_eq!(huge, error(413, "HTTP 413 Payload Too Large"));
    for body in [
        json!([]),
        json!({"name": "x"}),
        json!({"name": "x", "config": {"topics": ["a"]}}),
        json!({"name": "x", "config": {}, "more": 1}),
        json!({"name": " ", "config": config()}),
    ] {
        let (status, answer) = client.post("/connectors", body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer["error_code"], 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_without_dead_letters_says_so() {
    let client = Client::start(&[]).await;
    client.post("/connectors", connector("plain")).await;
    let mut unset = connector("unset");
    unset["config"]["connection.url"] = json!("${env:NO_SUCH_SINK_URL}");
    client.post("/connectors", unset).await;
    let mut dead = connector("dead");
    dead["config"]["errors.tolerance"] = json!("all");
    dead["config"]["errors.deadletterqueue.topic.name"] = json!("dead.dlq");
    client.post("/connectors", dead).await;
    for (code, path, says) in [
        (404, "nope/dead-letters", "Connector nope not found"),
        (404, "plain/dead-letters", "has no dead-letter topic"),
        (409, "unset/dead-letters", "not set: NO_SUCH_SINK_URL"),
        (400, "dead/dead-letters?limit=0", "limit must be 1 to 200"),
        (400, "dead/dead-letters?cursor=x", "cursor must be"),
        (400, "dead/dead-letters?page=2", "unknown field"),
    ] {
        let (status, error) = client.get(&format!("/connectors/{path}")).await;
        assert_eq!(status, code, "{path}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(says), "{path}: {message}");
    }
    for path in [
        "nope/dead-letters/0/0/replay",
        "plain/dead-letters/0/0/replay",
    ] {
        let path = format!("/connectors/{path}");
        let refused = answer(client.send(Method::POST, &path, None).await).await;
        assert_eq!(refused.0, StatusCode::NOT_FOUND, "{path}");
    }
    let path = "/connectors/dead/dead-letters/0/x/replay";
    let refused = answer(client.send(Method::POST, path, None).await).await;
    // As Connect takes a number that is none.
    assert_eq!(refused.0, StatusCode::NOT_FOUND);
    let (_, document) = client.get("/openapi.json").await;
    assert!(document["paths"]["/connectors/{name}/dead-letters"]["get"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_those_of_every_service() {
    let client = Client::start(&[]).await;
    assert_eq!(client.get("/livez").await.0, StatusCode::OK);
    assert_eq!(
        client.get("/readyz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    let metrics = client
        .send(Method::GET, "/metrics", None)
        .await
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("# TYPE http_requests counter"),
        "{metrics}"
    );
    let (_, root) = client.get("/").await;
    assert_eq!(root["version"], env!("CARGO_PKG_VERSION"));
}
