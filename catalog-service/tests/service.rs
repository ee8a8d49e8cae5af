//! The whole service in one process: librdkafka's mock cluster, a SQLite file.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeSet;
use std::time::Duration;

use catalog_service::Settings;
use futures_util::future::join_all;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use reqwest::{Client, StatusCode};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use shared::contract::{Delta, DeltaKind, OrderId, Outcome, ProductId, Reason, Status};
use shared::service::Service;
use shared::settings::{DatabaseSettings, HttpSettings};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    cluster: MockCluster<'static, rdkafka::producer::DefaultProducerContext>,
    settings: Settings,
    client: Client,
    _folder: TempDir,
}

impl World {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
        let mut settings = Settings {
            http: HttpSettings {
                workers: 1,
                ..HttpSettings::on_port(0)
            },
            database: DatabaseSettings::at(&url),
            ..Settings::default()
        };
        settings.kafka.bootstrap_servers = cluster.bootstrap_servers();
        // The mock cluster takes 3 s to let the first member in, and about a session to let
        // a restarted one in.
        for (name, millis) in [
            ("session.timeout.ms", "4500"),
            ("heartbeat.interval.ms", "500"),
        ] {
            settings
                .kafka
                .properties
                .insert(name.to_owned(), millis.to_owned());
        }
        let topics = &settings.topics;
        for topic in [
            &topics.catalog_deltas,
            &topics.order_outcomes,
            &topics.dead_letters,
        ] {
            cluster
                .create_topic(&topic.name, topic.partitions, 1)
                .unwrap();
        }
        Self {
            cluster,
            settings,
            client: Client::new(),
            _folder: folder,
        }
    }

    async fn start(&self) -> Service {
        let service = catalog_service::start(self.settings.clone()).await.unwrap();
        self.wait_for(&service, |status, _| status == StatusCode::OK)
            .await;
        service
    }

    /// Waits until `/readyz` is as expected.
    async fn wait_for(&self, service: &Service, expected: impl Fn(StatusCode, &Value) -> bool) {
        let url = format!("http://{}/readyz", service.address());
        let poll = async {
            loop {
                let response = self.client.get(&url).send().await.unwrap();
                let (status, body) = (response.status(), response.json().await.unwrap());
                if expected(status, &body) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, poll).await.unwrap();
    }

    async fn product(&self, service: &Service, product: i64, method: &str) -> Value {
        let url = format!("http://{}/catalog/{product}", service.address());
        let request = match method {
            "PUT" => self
                .client
                .put(url)
                .json(&json!({"name": "Cup", "unit_price": 1, "qty": 10})),
            _ => self.client.get(url),
        };
        request.send().await.unwrap().json().await.unwrap()
    }

    /// In one request, so that a consumer gets them together.
    async fn send(&self, values: &[Option<Vec<u8>>]) {
        let mut config = self.settings.kafka.client("test");
        let producer: FutureProducer = config.set("linger.ms", "50").create().unwrap();
        let topic = &self.settings.topics.catalog_deltas.name;
        let sent = values.iter().map(|value| {
            let mut record = FutureRecord::to(topic).key("1");
            record.payload = value.as_ref();
            producer.send(record, PATIENCE)
        });
        for result in join_all(sent).await {
            result.unwrap();
        }
    }

    /// The first `count` records of a topic.
    async fn read(&self, topic: &str, count: usize) -> Vec<OwnedMessage> {
        let group = OrderId::random().to_string();
        let mut config = self.settings.kafka.consumer("test");
        let consumer: StreamConsumer = config.set("group.id", group).create().unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let read = async {
            let mut records = Vec::new();
            while records.len() < count {
                records.push(consumer.recv().await.unwrap().detach());
            }
            records
        };
        timeout(PATIENCE, read).await.unwrap()
    }

    async fn facts(&self, count: usize) -> Vec<Outcome> {
        let records = self.read("order_outcomes", count).await;
        records
            .iter()
            .map(|record| Outcome::decode(record.payload().unwrap()).unwrap())
            .collect()
    }
}

fn reserve(product: i64, qty: i32) -> Delta {
    Delta {
        order_id: OrderId::random(),
        product_id: ProductId(product),
        kind: DeltaKind::Reserve,
        delta: -qty,
    }
}

fn header<'a>(record: &'a OwnedMessage, key: &str) -> &'a str {
    let header = record
        .headers()
        .unwrap()
        .iter()
        .find(|header| header.key == key)
        .unwrap();
    std::str::from_utf8(header.value.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_become_facts_poison_becomes_dead_letters_and_a_restart_repeats_nothing() {
    let world = World::new();
    let service = world.start().await;
    world.product(&service, 1, "PUT").await;
    let (bought, unknown) = (reserve(1, 3), reserve(2, 1));
    let elsewhere = Delta {
        product_id: ProductId(2),
        kind: DeltaKind::Release,
        delta: 3,
        ..bought
    };
    let values = [
        Some(bought.encode()),
        Some(b"{not json".to_vec()),
        None,
        Some(elsewhere.encode()),
        Some(unknown.encode()),
    ];
    world.send(&values).await;

    let facts = world.facts(2).await;
    let of = |delta: &Delta| {
        *facts
            .iter()
            .find(|fact| fact.order_id == delta.order_id)
            .unwrap()
    };
    assert_eq!(
        (of(&bought).status, of(&bought).reason),
        (Status::Confirmed, None)
    );
    assert_eq!(of(&unknown).reason, Some(Reason::UnknownProduct));
    let letters = world.read("catalog_deltas.dlq", 3).await;
    let reasons: Vec<_> = letters
        .iter()
        .map(|letter| header(letter, "dlq.reason"))
        .collect();
    assert!(reasons[0].starts_with("not a delta: "), "{reasons:?}");
    assert!(reasons[1].contains("no value"), "{reasons:?}");
    assert!(reasons[2].starts_with("releases product 2"), "{reasons:?}");
    assert_eq!(letters[0].payload(), Some(&b"{not json"[..]));
    assert_eq!(header(&letters[0], "dlq.topic"), "catalog_deltas");
    assert_eq!(world.product(&service, 1, "GET").await["qty"], 7);

    service.stop().await;
    let service = world.start().await;
    let (more, again) = (reserve(1, 7), bought);
    world
        .send(&[Some(again.encode()), Some(more.encode())])
        .await;
    let facts = world.facts(4).await;
    let copies: Vec<_> = facts
        .iter()
        .filter(|fact| fact.order_id == bought.order_id)
        .collect();
    assert_eq!(copies.len(), 2);
    assert_eq!(copies[0], copies[1]);
    assert_eq!(world.product(&service, 1, "GET").await["qty"], 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_facts_of_a_batch_go_to_one_partition_and_those_of_the_next_to_another() {
    let world = World::new();
    let topic = &world.settings.topics.order_outcomes.name;
    let partitions = async |facts| -> BTreeSet<i32> {
        let facts = world.read(topic, facts).await;
        facts.iter().map(Message::partition).collect()
    };
    let orders: Vec<_> = (0..6).map(|_| Some(reserve(1, 1).encode())).collect();
    world.send(&orders).await;
    let service = world.start().await;
    assert_eq!(partitions(6).await.len(), 1);
    world.send(&orders[..1]).await;
    assert_eq!(partitions(7).await.len(), 2);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_too_few_partitions_ends_the_service_with_a_sentence() {
    let mut world = World::new();
    world.settings.topics.order_outcomes.partitions = 4;
    let mut service = catalog_service::start(world.settings.clone())
        .await
        .unwrap();
    let reason = timeout(PATIENCE, service.failed()).await.unwrap();
    assert!(
        reason.contains("`order_outcomes` has 3 partitions, the settings say 4"),
        "{reason}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_which_dependency_is_missing() {
    let mut world = World::new();
    world.settings.database = DatabaseSettings::at("mysql://nobody@127.0.0.1:1/none");
    let service = catalog_service::start(world.settings.clone())
        .await
        .unwrap();
    world
        .wait_for(&service, |status, report| {
            let of = |name: &str| report["dependencies"][name]["status"].clone();
            status == StatusCode::SERVICE_UNAVAILABLE
                && of("broker") == "up"
                && of("database") == "down"
                && report["dependencies"]["database"]["reason"] != "starting"
        })
        .await;
    service.stop().await;
}

/// Whoever spreads the requests learns of a stop only by asking.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_takes_requests_until_it_has_been_noticed() {
    let mut world = World::new();
    world.settings.http.drain_s = 2;
    let service = world.start().await;
    let base = format!("http://{}", service.address());
    let get = async |path: &str| world.client.get(format!("{base}{path}")).send().await;
    let stopping = tokio::spawn(service.stop());
    let noticed = async {
        while get("/readyz").await.unwrap().status() != StatusCode::SERVICE_UNAVAILABLE {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, noticed).await.unwrap();
    assert_eq!(get("/catalog").await.unwrap().status(), StatusCode::OK);
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
    assert!(get("/catalog").await.unwrap_err().is_connect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_one_sentence() {
    let mut world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.settings.http.bind = taken.local_addr().unwrap();
    let Err(error) = catalog_service::start(world.settings.clone()).await else {
        panic!("started on a taken port")
    };
    let text = format!("{error:#}");
    assert!(
        text.contains(&world.settings.http.bind.to_string()),
        "{text}"
    );
    assert!(text.contains("`http.bind`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_work_is_named() {
    let mut world = World::new();
    world.settings.database = DatabaseSettings::at("nowhere");
    let Err(error) = catalog_service::start(world.settings.clone()).await else {
        panic!("started without a database URL")
    };
    assert!(
        format!("{error:#}").starts_with("setting `database.url`: "),
        "{error:#}"
    );
    let property = ("enable.auto.commit".to_owned(), "true".to_owned());
    world.settings.kafka.properties.extend([property]);
    let Err(error) = catalog_service::start(world.settings.clone()).await else {
        panic!("started with offsets committed unseen")
    };
    assert!(
        format!("{error:#}").contains("`enable.auto.commit`"),
        "{error:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_wait_until_the_database_works_again_and_none_is_skipped() {
    let world = World::new();
    let service = world.start().await;
    world.product(&service, 1, "PUT").await;
    let db = shared::database::connect(&world.settings.database)
        .await
        .unwrap();
    db.execute_unprepared("ALTER TABLE stock RENAME TO gone")
        .await
        .unwrap();
    let orders = [reserve(1, 4), reserve(1, 5)];
    world.send(&orders.map(|order| Some(order.encode()))).await;
    world
        .wait_for(&service, |status, report| {
            let applier = &report["dependencies"]["applier"];
            let reason = applier["reason"].as_str().unwrap_or("");
            status == StatusCode::SERVICE_UNAVAILABLE && reason.contains("no such table")
        })
        .await;
    db.execute_unprepared("ALTER TABLE gone RENAME TO stock")
        .await
        .unwrap();
    let facts = world.facts(2).await;
    assert!(
        facts.iter().all(|fact| fact.status == Status::Confirmed),
        "{facts:?}"
    );
    world
        .wait_for(&service, |status, _| status == StatusCode::OK)
        .await;
    assert_eq!(world.product(&service, 1, "GET").await["qty"], 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applier_that_may_not_read_says_so_until_it_may() {
    let world = World::new();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    world
        .cluster
        .request_errors(RDKafkaApiKey::JoinGroup, &[refused]);
    let service = catalog_service::start(world.settings.clone())
        .await
        .unwrap();
    world
        .wait_for(&service, |_, report| {
            let reason = report["dependencies"]["deltas"]["reason"].as_str();
            let is_told = reason.is_some_and(|reason| reason.contains("authorization"));
            report["status"] == "degraded" && is_told
        })
        .await;
    world.send(&[Some(reserve(1, 1).encode())]).await;
    world
        .wait_for(&service, |_, report| report["status"] == "ready")
        .await;
    service.stop().await;
}

async fn json_of(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Of a product that is gone from stock nothing can be given back.
async fn rename(db: &DatabaseConnection, from: i32, to: i32) {
    let sql = format!("UPDATE stock SET product_id = {to} WHERE product_id = {from}");
    db.execute_unprepared(&sql).await.unwrap();
}

/// Of three of a product that was then renamed.
async fn release_of_what_is_gone(world: &World, service: &Service) -> (DatabaseConnection, Delta) {
    world.product(service, 1, "PUT").await;
    let bought = reserve(1, 3);
    world.send(&[Some(bought.encode())]).await;
    world.facts(1).await;
    let db = shared::database::connect(&world.settings.database)
        .await
        .unwrap();
    rename(&db, 1, 77).await;
    let release = Delta {
        kind: DeltaKind::Release,
        delta: 3,
        ..bought
    };
    (db, release)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_goes_back_once_and_only_when_it_can_be_applied() {
    let world = World::new();
    let service = world.start().await;
    let (db, release) = release_of_what_is_gone(&world, &service).await;
    world
        .send(&[Some(release.encode()), Some(vec![0xff, 0xfe])])
        .await;
    world
        .wait_for(&service, |_, report| report["dead_letters"] == 2)
        .await;

    let base = format!("http://{}/dead-letters", service.address());
    let list = async || json_of(world.client.get(&base)).await.1;
    let letters = list().await["items"].clone();
    assert_eq!(letters[0]["original"]["topic"], "catalog_deltas");
    let payload =
        json!({"encoding": "utf-8", "text": String::from_utf8(release.encode()).unwrap()});
    assert_eq!(letters[0]["payload"], payload);
    assert_eq!(
        letters[1]["payload"],
        json!({"encoding": "base64", "text": "//4="})
    );
    let replay = async |offset: &Value| -> (StatusCode, Value) {
        json_of(world.client.post(format!("{base}/0/{offset}/replay"))).await
    };
    for letter in [&letters[0], &letters[1]] {
        let (status, problem) = replay(&letter["offset"]).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    }
    rename(&db, 77, 1).await;
    let first = &letters[0]["offset"];
    assert_eq!(
        replay(first).await,
        (StatusCode::OK, json!({"status": "replayed"}))
    );
    assert_eq!(world.facts(2).await.len(), 2);
    assert_eq!(world.product(&service, 1, "GET").await["qty"], 10);
    let again = json!({"status": "already replayed"});
    assert_eq!(replay(first).await, (StatusCode::OK, again));
    assert_eq!(replay(&json!(999)).await.0, StatusCode::NOT_FOUND);
    assert!(list().await["items"][0]["replayed_at"].is_string());
    world
        .wait_for(&service, |_, report| report["dead_letters"] == 1)
        .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_delta_was_applied_after_all_waits_no_more() {
    let world = World::new();
    let service = world.start().await;
    let (db, release) = release_of_what_is_gone(&world, &service).await;
    world.send(&[Some(release.encode())]).await;
    world
        .wait_for(&service, |_, report| report["dead_letters"] == 1)
        .await;
    rename(&db, 77, 1).await;
    world.send(&[Some(release.encode())]).await;
    world.facts(2).await;

    let url = format!("http://{}/dead-letters/0/0/replay", service.address());
    for status in ["already applied", "already replayed"] {
        let answer = json_of(world.client.post(&url)).await;
        assert_eq!(answer, (StatusCode::OK, json!({ "status": status })));
    }
    world
        .wait_for(&service, |_, report| report["dead_letters"] == 0)
        .await;
    service.stop().await;
}
