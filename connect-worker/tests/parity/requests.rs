//! The requests, in their order. `NAME` is the connector, and its topic.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const DEBEZIUM: &str = "io.debezium.connector.jdbc.JdbcSinkConnector";

/// Plugins that both have.
pub(crate) const SHARED_PLUGINS: [&str; 7] = [
    DEBEZIUM,
    "org.apache.kafka.connect.json.JsonConverter",
    "org.apache.kafka.connect.storage.StringConverter",
    "org.apache.kafka.connect.transforms.ExtractField$Key",
    "org.apache.kafka.connect.transforms.ExtractField$Value",
    "org.apache.kafka.connect.transforms.RegexRouter",
    "org.apache.kafka.connect.transforms.ValueToKey",
];

pub(crate) enum Step {
    /// Both give the same answer.
    Same(Method, String, Option<String>),
    /// As `Same`, for a GET, once the body has these at the pointers.
    Until(&'static str, Vec<(&'static str, Value)>),
    /// They answer differently, and are meant to.
    Differs {
        method: Method,
        path: String,
        body: Option<String>,
        connect: Said,
        worker: Said,
        why: &'static str,
    },
    /// A record's value.
    Produce(&'static str),
}

use Step::{Differs, Produce, Until};

fn get(path: &str) -> Step {
    Step::Same(Method::GET, path.to_owned(), None)
}

fn once(path: &'static str, pointer: &'static str, expected: Value) -> Step {
    Until(path, vec![(pointer, expected)])
}

/// Once the connector and its first task are in these states.
fn settled(connector: &str, task: &str) -> Step {
    let states = vec![
        ("/connector/state", json!(connector)),
        ("/tasks/0/state", json!(task)),
    ];
    Until("/connectors/NAME/status", states)
}

fn act(method: Method, path: &str) -> Step {
    Step::Same(method, path.to_owned(), None)
}

fn send(method: Method, path: &str, body: Value) -> Step {
    Step::Same(method, path.to_owned(), Some(body.to_string()))
}

pub(crate) fn steps(database: &str) -> Vec<Step> {
    let config = config(database);
    [
        unknown(),
        refused(&config),
        refused_otherwise(&config),
        unparsed(&config),
        lives(&config),
        changes(&config),
        states(),
        offsets(),
        fails(),
        ends(&config),
        plugins(&config),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The sink that both have.
fn config(database: &str) -> Value {
    let (credentials, place) = database
        .strip_prefix("mysql://")
        .unwrap()
        .split_once('@')
        .unwrap();
    let (user, password) = credentials.split_once(':').unwrap();
    json!({
        "connector.class": DEBEZIUM,
        "tasks.max": "1",
        "topics": "NAME",
        "connection.url": format!("jdbc:mariadb://{place}"),
        "connection.username": user,
        "connection.password": password,
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "id",
        "schema.evolution": "basic",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "consumer.override.auto.offset.reset": "earliest",
    })
}

/// Of a connector that is not there.
fn unknown() -> Vec<Step> {
    let offset = json!({"offsets": [{
        "partition": {"kafka_topic": "NAME", "kafka_partition": 0},
        "offset": {"kafka_offset": 0},
    }]});
    vec![
        get("/"),
        get("/health"),
        get("/nowhere"),
        act(Method::DELETE, "/connectors"),
        get("/connectors"),
        get("/connectors/NAME"),
        get("/connectors/NAME/config"),
        get("/connectors/NAME/status"),
        get("/connectors/NAME/tasks"),
        get("/connectors/NAME/tasks/0/status"),
        get("/connectors/NAME/tasks/x/status"),
        get("/connectors/NAME/topics"),
        get("/connectors/NAME/offsets"),
        act(Method::PUT, "/connectors/NAME/pause"),
        act(Method::PUT, "/connectors/NAME/resume"),
        act(Method::PUT, "/connectors/NAME/stop"),
        act(Method::POST, "/connectors/NAME/restart"),
        act(Method::POST, "/connectors/NAME/restart?includeTasks=true"),
        act(Method::POST, "/connectors/NAME/tasks/0/restart"),
        act(Method::PUT, "/connectors/NAME/topics/reset"),
        act(Method::DELETE, "/connectors/NAME"),
        act(Method::DELETE, "/connectors/NAME/offsets"),
        send(Method::PATCH, "/connectors/NAME/offsets", offset),
        send(
            Method::PATCH,
            "/connectors/NAME/config",
            json!({"tasks.max": "2"}),
        ),
    ]
}

fn with(config: &Value, key: &str, value: Value) -> Value {
    let mut changed = config.clone();
    changed[key] = value;
    changed
}

fn without(config: &Value, key: &str) -> Value {
    let mut changed = config.clone();
    changed.as_object_mut().unwrap().remove(key);
    changed
}

/// Configurations that are wrong.
fn refused(config: &Value) -> Vec<Step> {
    let post = |body: Value| send(Method::POST, "/connectors", body);
    let same = [
        create(json!({})),
        create(json!({"name": "NAME", "topics": "NAME"})),
        create(without(config, "topics")),
        create(with(config, "topics.regex", json!("NAME.*"))),
        create(with(config, "tasks.max", json!("0"))),
        create(with(config, "name", json!("other"))),
        create(with(config, "errors.tolerance", json!("some"))),
        create(with(
            config,
            "errors.deadletterqueue.topic.name",
            json!("NAME"),
        )),
        create(with(config, "transforms", json!("a"))),
        create(with(config, "delete.enabled", json!("yes"))),
        json!({"config": config}),
        json!({"name": " ", "config": config}),
    ];
    let put = |body: Value| send(Method::PUT, "/connectors/NAME/config", body);
    let others = [
        put(with(config, "name", json!("other"))),
        put(json!({})),
        get("/connectors"),
    ];
    same.map(post).into_iter().chain(others).collect()
}

fn create(config: Value) -> Value {
    json!({"name": "NAME", "config": config})
}

/// Of each, the status and a part of the body.
type Said = (StatusCode, &'static str);

fn differs(body: Value, connect: Said, worker: Said, why: &'static str) -> Step {
    Differs {
        method: Method::POST,
        path: "/connectors".to_owned(),
        body: Some(body.to_string()),
        connect,
        worker,
        why,
    }
}

/// What connect-worker refuses in other words.
fn refused_otherwise(config: &Value) -> Vec<Step> {
    let misspelt = "io.debezium.connector.jdbc.JdbcSingConnector";
    let converter = "org.example.AvroConverter";
    vec![
        differs(
            create(with(config, "connector.class", json!(misspelt))),
            (BAD_REQUEST, "available connectors are: PluginDesc{"),
            (
                BAD_REQUEST,
                "did you mean io.debezium.connector.jdbc.JdbcSinkConnector?, available connectors are: ",
            ),
            "a misspelt class is told with the right one",
        ),
        differs(
            create(with(config, "tasks.max", json!("x"))),
            (
                BAD_REQUEST,
                "2 error(s):\\nInvalid value x for configuration tasks.max: Not a number",
            ),
            (
                BAD_REQUEST,
                "1 error(s):\\nInvalid value x for configuration tasks.max: Not a number",
            ),
            "one mistake is one fault",
        ),
        differs(
            create(with(config, "value.converter", json!(converter))),
            (
                BAD_REQUEST,
                "Class org.example.AvroConverter could not be found.",
            ),
            (
                BAD_REQUEST,
                "connect-worker has org.apache.kafka.connect.json.JsonConverter and",
            ),
            "connect-worker says what there is",
        ),
    ]
}

/// What is no request to create a connector.
fn unparsed(config: &Value) -> Vec<Step> {
    let differs = |body: Value, connect, worker| {
        let why = "Connect takes what it cannot parse for its own fault";
        differs(body, (SERVER_ERROR, connect), (BAD_REQUEST, worker), why)
    };
    vec![
        differs(
            json!([]),
            "CreateConnectorRequest",
            "expected struct CreateConnector",
        ),
        differs(json!({"name": "NAME"}), "is null", "missing field `config`"),
        differs(
            json!({"name": "NAME", "config": {}, "more": 1}),
            "Unrecognized field",
            "unknown field `more`",
        ),
        differs(
            create(with(config, "tasks.max", json!(["1"]))),
            "Cannot deserialize",
            "\\\"tasks.max\\\" is not a text",
        ),
        differs(
            json!({"name": "NAME", "config": config, "initial_state": "RUN"}),
            "No enum constant",
            "unknown variant `RUN`",
        ),
    ]
}

const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
const SERVER_ERROR: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

fn lives(config: &Value) -> Vec<Step> {
    let create = json!({"name": "NAME", "config": config});
    vec![
        send(Method::POST, "/connectors", create.clone()),
        settled("RUNNING", "RUNNING"),
        send(Method::POST, "/connectors", create),
        get("/connectors"),
        get("/connectors/NAME"),
        get("/connectors/NAME/config"),
        Differs {
            method: Method::GET,
            path: "/connectors/NAME/config".to_owned(),
            body: None,
            connect: (StatusCode::OK, r#""connection.password":"test""#),
            worker: (StatusCode::OK, r#""connection.password":"********""#),
            why: "Connect shows passwords",
        },
        get("/connectors/NAME/tasks"),
        get("/connectors/NAME/tasks/0/status"),
        get("/connectors/NAME/tasks/7/status"),
        act(Method::POST, "/connectors/NAME/tasks/7/restart"),
        get("/connectors?expand=status&expand=info"),
        get("/connectors?expand=info"),
        get("/connectors?expand=nothing"),
        get("/connectors/NAME/topics"),
        get("/connectors/NAME/offsets"),
        Produce(GOOD),
        once("/connectors/NAME/topics", "/NAME/topics/0", json!("NAME")),
        once(
            "/connectors/NAME/offsets",
            "/offsets/0/offset/kafka_offset",
            json!(1),
        ),
        act(Method::PUT, "/connectors/NAME/topics/reset"),
        once("/connectors/NAME/topics", "/NAME/topics", json!([])),
    ]
}

const GOOD: &str = r#"{"schema":{"type":"struct","fields":[{"field":"id","type":"int32","optional":false}],"optional":false},"payload":{"id":1}}"#;

fn changes(config: &Value) -> Vec<Step> {
    let path = "/connectors/NAME/config";
    vec![
        send(Method::PUT, path, config.clone()),
        send(Method::PUT, path, with(config, "tasks.max", json!("2"))),
        Until(
            "/connectors/NAME/status",
            vec![
                ("/connector/state", json!("RUNNING")),
                ("/tasks/0/state", json!("RUNNING")),
                ("/tasks/1/state", json!("RUNNING")),
            ],
        ),
        send(
            Method::PATCH,
            path,
            json!({"tasks.max": "1", "batch.size": "7"}),
        ),
        once(
            "/connectors/NAME",
            "/tasks",
            json!([{"connector": "NAME", "task": 0}]),
        ),
        send(Method::PATCH, path, json!({"batch.size": null})),
        send(Method::PATCH, path, json!({"tasks.max": "0"})),
        get(path),
    ]
}

fn states() -> Vec<Step> {
    vec![
        act(Method::PUT, "/connectors/NAME/pause"),
        settled("PAUSED", "PAUSED"),
        act(Method::PUT, "/connectors/NAME/resume"),
        settled("RUNNING", "RUNNING"),
        act(Method::POST, "/connectors/NAME/restart"),
        act(
            Method::POST,
            "/connectors/NAME/restart?includeTasks=true&onlyFailed=true",
        ),
        act(Method::POST, "/connectors/NAME/restart?includeTasks=true"),
        settled("RUNNING", "RUNNING"),
        Differs {
            method: Method::POST,
            path: "/connectors/NAME/restart?onlyFailed=maybe".to_owned(),
            body: None,
            connect: (StatusCode::NO_CONTENT, ""),
            worker: (BAD_REQUEST, "`true` or `false`"),
            why: "Connect takes anything but `true` for `false`",
        },
        act(Method::POST, "/connectors/NAME/tasks/0/restart"),
        settled("RUNNING", "RUNNING"),
    ]
}

fn offsets() -> Vec<Step> {
    let path = "/connectors/NAME/offsets";
    let alter = |partition: Value, offset: Value| {
        let offsets = json!({"offsets": [{"partition": partition, "offset": offset}]});
        send(Method::PATCH, path, offsets)
    };
    let ours = json!({"kafka_topic": "NAME", "kafka_partition": 0});
    vec![
        alter(ours.clone(), json!({"kafka_offset": 0})),
        act(Method::DELETE, path),
        act(Method::PUT, "/connectors/NAME/stop"),
        Until(
            "/connectors/NAME/status",
            vec![
                ("/connector/state", json!("STOPPED")),
                ("/tasks", json!([])),
            ],
        ),
        get("/connectors/NAME"),
        get("/connectors/NAME/tasks"),
        get(path),
        send(Method::PATCH, path, json!({})),
        send(Method::PATCH, path, json!({"offsets": []})),
        alter(json!(null), json!(null)),
        alter(json!({"kafka_topic": "NAME"}), json!(null)),
        alter(
            json!({"kafka_topic": null, "kafka_partition": 0}),
            json!(null),
        ),
        alter(
            json!({"kafka_topic": "NAME", "kafka_partition": "x"}),
            json!(null),
        ),
        alter(ours.clone(), json!({"offset": 1})),
        alter(ours.clone(), json!({"kafka_offset": "x"})),
        alter(ours.clone(), json!({"kafka_offset": "0"})),
        get(path),
        alter(ours.clone(), json!(null)),
        get(path),
        alter(ours, json!({"kafka_offset": 1})),
        get(path),
        act(Method::DELETE, path),
        get(path),
        act(Method::POST, "/connectors/NAME/restart"),
        act(Method::POST, "/connectors/NAME/restart?includeTasks=true"),
        act(Method::PUT, "/connectors/NAME/resume"),
        once(
            "/connectors/NAME/offsets",
            "/offsets/0/offset/kafka_offset",
            json!(1),
        ),
    ]
}

/// A record that cannot be converted ends the task.
fn fails() -> Vec<Step> {
    vec![
        Produce("{"),
        settled("RUNNING", "FAILED"),
        get("/connectors/NAME/tasks/0/status"),
        act(Method::POST, "/connectors/NAME/restart?onlyFailed=true"),
        act(
            Method::POST,
            "/connectors/NAME/restart?includeTasks=true&onlyFailed=true",
        ),
        settled("RUNNING", "FAILED"),
    ]
}

fn ends(config: &Value) -> Vec<Step> {
    let stopped = json!({"name": "NAME", "config": config, "initial_state": "STOPPED"});
    vec![
        act(Method::DELETE, "/connectors/NAME"),
        get("/connectors/NAME"),
        act(Method::DELETE, "/connectors/NAME"),
        send(Method::POST, "/connectors", stopped),
        once(
            "/connectors/NAME/status",
            "/connector/state",
            json!("STOPPED"),
        ),
        get("/connectors/NAME"),
        act(Method::DELETE, "/connectors/NAME"),
        get("/connectors"),
        send(Method::PUT, "/connectors/NAME/config", config.clone()),
        settled("RUNNING", "RUNNING"),
        act(Method::DELETE, "/connectors/NAME"),
    ]
}

fn plugins(config: &Value) -> Vec<Step> {
    let keys = format!("/connector-plugins/{DEBEZIUM}/config");
    let validate = format!("{keys}/validate");
    // Connect adds the keys of the converters that are named, and of its clients.
    let config = without(config, "consumer.override.auto.offset.reset");
    let config = without(&config, "key.converter");
    let named = with(&config, "name", json!("NAME"));
    let mut transformed = with(&named, "transforms", json!("a"));
    transformed["transforms.a.type"] = json!("org.apache.kafka.connect.transforms.ValueToKey");
    transformed["transforms.a.fields"] = json!("id");
    vec![
        get("/connector-plugins"),
        get("/connector-plugins?connectorsOnly=false"),
        get("/connector-plugins/com.example.Nothing/config"),
        get(&keys),
        send(Method::PUT, &validate, named.clone()),
        send(Method::PUT, &validate, transformed),
        send(
            Method::PUT,
            &validate,
            with(&named, "tasks.max", json!("0")),
        ),
        send(Method::PUT, &validate, without(&named, "topics")),
        send(
            Method::PUT,
            "/connector-plugins/JdbcSink/config/validate",
            json!({"connector.class": DEBEZIUM, "topics": "a", "connection.url": "jdbc:mariadb://a/b"}),
        ),
        send(
            Method::PUT,
            "/connector-plugins/org.example.Other/config/validate",
            config,
        ),
        Differs {
            method: Method::PUT,
            path: validate,
            body: Some("{}".to_owned()),
            connect: (
                SERVER_ERROR,
                "Connector config {} contains no connector type",
            ),
            worker: (
                BAD_REQUEST,
                "\"Connector config {} contains no connector type\"",
            ),
            why: "a wrong request is a 400",
        },
    ]
}
