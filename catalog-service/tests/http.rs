//! The API over HTTP, on a SQLite file.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

use catalog_service::catalog::Catalog;
use catalog_service::dead_letters::DeadLetters;
use catalog_service::routes;
use futures_util::future::join_all;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use shared::http::{Common, Health};
use shared::kafka::{DeadLetterTopic, KafkaSettings, LetterForm};
use shared::settings::{DatabaseSettings, HttpSettings};
use tempfile::TempDir;

struct Api {
    base: String,
    client: Client,
    _folder: TempDir,
}

impl Api {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
        let db = shared::database::connect(&DatabaseSettings::at(&url))
            .await
            .unwrap();
        migrations::up(&db, migrations::Database::Catalog)
            .await
            .unwrap();
        Self::on(db, folder)
    }

    /// Nothing listens where its database should be.
    async fn without_database() -> Self {
        let settings = DatabaseSettings::at("mysql://nobody@127.0.0.1:1/none");
        let db = shared::database::connect(&settings).await.unwrap();
        Self::on(db, tempfile::tempdir().unwrap())
    }

    fn on(db: DatabaseConnection, folder: TempDir) -> Self {
        let catalog = Catalog {
            db,
            conflicts: Default::default(),
        };
        let letters = DeadLetters {
            topic: DeadLetterTopic {
                kafka: KafkaSettings::default(),
                name: "catalog_deltas.dlq".to_owned(),
                form: LetterForm::Own,
            },
            deltas: "catalog_deltas".to_owned(),
            db: catalog.db.clone(),
        };
        let common = Common {
            health: Health::default(),
            metrics: Default::default(),
            openapi: routes::openapi(),
            traces: Default::default(),
        };
        let settings = HttpSettings {
            workers: 1,
            ..HttpSettings::on_port(0)
        };
        let http = shared::http::serve(&settings, common, move |config| {
            routes::configure(config, catalog.clone(), letters.clone());
        })
        .unwrap();
        tokio::spawn(http.server);
        Self {
            base: format!("http://{}", http.address),
            client: Client::new(),
            _folder: folder,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    async fn put(&self, product: i64, body: Value) -> (StatusCode, Value) {
        let request = self
            .request(Method::PUT, &format!("/catalog/{product}"))
            .json(&body);
        read(request.send().await.unwrap()).await
    }

    async fn adjust(&self, product: i64, key: &str, body: Value) -> (StatusCode, Value) {
        let path = format!("/catalog/{product}/adjustments");
        let request = self
            .request(Method::POST, &path)
            .header("Idempotency-Key", key);
        read(request.json(&body).send().await.unwrap()).await
    }

    async fn create(&self, product: i64, qty: i64) {
        let body = json!({"name": "Cup", "unit_price": 1200, "qty": qty});
        assert_eq!(self.put(product, body).await.0, StatusCode::CREATED);
    }
}

/// The body, and that an error is a problem.
async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let media_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = response.json().await.unwrap();
    if !status.is_success() {
        assert_eq!(media_type, "application/problem+json", "{body}");
        assert_eq!(body["status"], status.as_u16(), "{body}");
        assert!(
            body["type"].as_str().unwrap().starts_with("urn:problem:"),
            "{body}"
        );
        assert!(body["detail"].is_string(), "{body}");
    }
    (status, body)
}

fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_product_is_created_then_renamed_and_its_stock_stays() {
    let api = Api::start().await;
    let body = json!({"name": "Cup", "unit_price": 1200, "qty": 7});
    let created = api
        .request(Method::PUT, "/catalog/1")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(created.headers()["location"], "/catalog/1");
    let created: Value = created.json().await.unwrap();
    assert_eq!(
        (&created["name"], &created["qty"]),
        (&json!("Cup"), &json!(7))
    );
    assert_eq!(
        api.get("/catalog/1").await,
        (StatusCode::OK, created.clone())
    );

    let body = json!({"name": "Mug", "unit_price": 900, "qty": 5_000});
    let (status, renamed) = api.put(1, body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&renamed["name"], &renamed["unit_price"]),
        (&json!("Mug"), &json!(900))
    );
    assert_eq!(renamed["qty"], 7);
    assert_eq!(api.get("/catalog/1").await.1, renamed);

    let (status, created) = api.put(2, json!({"name": "Pot", "unit_price": 0})).await;
    assert_eq!((status, &created["qty"]), (StatusCode::CREATED, &json!(0)));
    let (_, ledger) = api.get("/catalog/1/ledger").await;
    assert_eq!(ledger["items"].as_array().unwrap().len(), 1);
    assert_eq!(ledger["items"][0]["kind"], "initial");
    assert_eq!(ledger["items"][0]["delta"], 7);
    assert_eq!(ledger["next_cursor"], Value::Null);
}

#[tokio::test]
async fn every_rule_that_a_product_breaks_is_named() {
    let api = Api::start().await;
    let good = json!({"name": "Cup", "unit_price": 1});
    for (product, change, broken) in [
        (0, json!({}), vec!["product_id"]),
        (-1, json!({"name": ""}), vec!["product_id", "name"]),
        (1, json!({"name": "  "}), vec!["name"]),
        (1, json!({"name": "a\u{0}b"}), vec!["name"]),
        (1, json!({"name": "é".repeat(256)}), vec!["name"]),
        (1, json!({"unit_price": -1}), vec!["unit_price"]),
        (
            1,
            json!({"unit_price": i64::MAX, "qty": -1}),
            vec!["unit_price", "qty"],
        ),
        (1, json!({"qty": i64::MAX}), vec!["qty"]),
    ] {
        let mut body = good.clone();
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let (status, problem) = api.put(product, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(fields(&problem), broken, "{problem}");
    }
    assert_eq!(api.get("/catalog").await.1["items"], json!([]));
    let longest = json!({"name": "é".repeat(255), "unit_price": 1});
    assert_eq!(api.put(1, longest).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_not_the_json_asked_for_is_a_400_that_names_the_place() {
    let api = Api::start().await;
    for (body, place) in [
        (&b"{"[..], "EOF"),
        (b"", "EOF"),
        (b"[]", "invalid length 0"),
        (b"null", "invalid type: null"),
        (b"\xff\xfe{}", "expected value"),
        (b"{\"name\":\"\xff\",\"unit_price\":1}", "name"),
        (br#"{"name":"Cup"}"#, "unit_price"),
        (br#"{"name":"Cup","unit_price":1.5}"#, "unit_price"),
        (br#"{"name":"Cup","unit_price":"1"}"#, "unit_price"),
        (
            br#"{"name":"Cup","unit_price":1,"qty":99999999999999999999}"#,
            "qty",
        ),
        (br#"{"name":"Cup","unit_price":1,"quantity":1}"#, "quantity"),
        (br#"{"name":"Cup","name":"Mug","unit_price":1}"#, "name"),
        (br#"{"name":"Cup","unit_price":1} {}"#, "trailing"),
    ] {
        let request = api.request(Method::PUT, "/catalog/1");
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let (status, problem) = read(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(place),
            "{place}: {problem}"
        );
    }
    for path in [
        "/catalog/one",
        "/catalog/1.5",
        "/catalog/99999999999999999999",
        "/catalog/%ff",
    ] {
        assert_eq!(api.get(path).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn an_adjustment_counts_once_and_its_replay_is_a_200() {
    let api = Api::start().await;
    api.create(1, 10).await;
    let body = json!({"delta": 5, "reason": "restock"});
    let (status, entry) = api.adjust(1, "monday", body.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(entry["reference"], "1:monday");
    assert_eq!(
        (&entry["kind"], &entry["delta"]),
        (&json!("adjust"), &json!(5))
    );
    assert_eq!(api.adjust(1, "monday", body).await, (StatusCode::OK, entry));
    assert_eq!(api.get("/catalog/1").await.1["qty"], 15);

    let other = json!({"delta": 6, "reason": "restock"});
    let (status, problem) = api.adjust(1, "monday", other).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:problem:idempotency-key-reused");
    let (status, problem) = api
        .adjust(1, "b", json!({"delta": -16, "reason": "lost"}))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["type"], "urn:problem:below-zero");
    let (status, _) = api
        .adjust(9, "b", json!({"delta": 1, "reason": "found"}))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = api
        .adjust(1, "b", json!({"delta": -15, "reason": "sold"}))
        .await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(api.get("/catalog/1").await.1["qty"], 0);
}

#[tokio::test]
async fn every_rule_that_an_adjustment_breaks_is_named() {
    let api = Api::start().await;
    api.create(1, 10).await;
    let good = json!({"delta": 1, "reason": "x"});
    for (body, broken) in [
        (json!({"delta": 0, "reason": "x"}), "delta"),
        (json!({"delta": 1_000_000_001, "reason": "x"}), "delta"),
        (json!({"delta": i64::MIN, "reason": "x"}), "delta"),
        (json!({"delta": 1, "reason": ""}), "reason"),
        (json!({"delta": 1, "reason": "x".repeat(256)}), "reason"),
    ] {
        let (status, problem) = api.adjust(1, "key", body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(fields(&problem), [broken]);
    }
    for key in ["", "two words", &"k".repeat(256)] {
        let (status, problem) = api.adjust(1, key, good.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(fields(&problem), ["Idempotency-Key"]);
    }
    let request = api.request(Method::POST, "/catalog/1/adjustments");
    let (status, problem) = read(request.json(&good).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(fields(&problem), ["Idempotency-Key"]);
    let (status, _) = api
        .adjust(1, "key", json!({"delta": 1, "reason": "x", "by": "me"}))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(api.get("/catalog/1").await.1["qty"], 10);
}

#[tokio::test]
async fn stock_has_a_ceiling() {
    let api = Api::start().await;
    api.create(1, 999_999_999_999).await;
    let (status, problem) = api.adjust(1, "a", json!({"delta": 2, "reason": "x"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["type"], "urn:problem:above-maximum");
    let (status, _) = api.adjust(1, "a", json!({"delta": 1, "reason": "x"})).await;
    assert_eq!(status, StatusCode::CREATED);
}

async fn pages(api: &Api, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut next = format!("{path}?limit=3");
    loop {
        let (status, page) = api.get(&next).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let found = page["items"].as_array().unwrap();
        assert!(found.len() <= 3);
        items.extend(found.iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else {
            return items;
        };
        next = format!("{path}?limit=3&cursor={cursor}");
    }
}

#[tokio::test]
async fn lists_are_paged_to_their_end() {
    let api = Api::start().await;
    for product in [5, 1, 4, 2, 3, 6] {
        api.create(product, 1).await;
    }
    for n in 0..7 {
        let body = json!({"delta": 1, "reason": "x"});
        assert_eq!(
            api.adjust(3, &format!("{n}.&?%/"), body).await.0,
            StatusCode::CREATED
        );
    }
    let ids: Vec<_> = pages(&api, "/catalog")
        .await
        .iter()
        .map(|item| item["product_id"].clone())
        .collect();
    assert_eq!(Value::from(ids), json!([1, 2, 3, 4, 5, 6]));
    let ledger = pages(&api, "/catalog/3/ledger").await;
    assert_eq!(
        ledger,
        *api.get("/catalog/3/ledger").await.1["items"]
            .as_array()
            .unwrap()
    );
    assert_eq!(ledger.len(), 8);
}

#[tokio::test]
async fn bad_queries_are_told_what_is_wrong() {
    let api = Api::start().await;
    api.create(1, 1).await;
    for list in ["/catalog", "/catalog/1/ledger"] {
        for (query, broken) in [
            ("limit=0", vec!["limit"]),
            ("limit=-5", vec!["limit"]),
            ("limit=201", vec!["limit"]),
            ("cursor=zz", vec!["cursor"]),
            ("cursor=", vec!["cursor"]),
            ("cursor=%C3%A9", vec!["cursor"]),
            ("limit=0&cursor=f", vec!["limit", "cursor"]),
        ] {
            let (status, problem) = api.get(&format!("{list}?{query}")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{list} {query}");
            assert_eq!(fields(&problem), broken, "{list} {query}");
        }
        for query in ["limit=many", "limit=1.5", "size=1", "limit=1&limit=2"] {
            let (status, _) = api.get(&format!("{list}?{query}")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{list} {query}");
        }
    }
    // Well formed, but not what the service would give out.
    for text in [
        "",
        "1",
        "1.adjust",
        "x.adjust.1:k",
        "1.adjust.a b",
        "9.refund.1",
        "1.adjust.\u{e9}",
    ] {
        let cursor: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let (status, _) = api.get(&format!("/catalog/1/ledger?cursor={cursor}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    }
}

#[tokio::test]
async fn the_unknown_is_not_found_and_other_methods_are_told_which_do() {
    let api = Api::start().await;
    for path in [
        "/",
        "/catalogue",
        "/catalog/",
        "/catalog/1",
        "/catalog/-1",
        "/catalog/1/ledger",
        "/catalog/1/x",
    ] {
        assert_eq!(api.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for (method, path, allow) in [
        (Method::POST, "/catalog", "GET"),
        (Method::DELETE, "/catalog/1", "GET, PUT"),
        (Method::GET, "/catalog/1/adjustments", "POST"),
        (Method::PUT, "/catalog/1/ledger", "GET"),
        (Method::POST, "/readyz", "GET"),
    ] {
        let response = api.request(method, path).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow, "{path}");
        assert_eq!(
            read(response).await.0,
            StatusCode::METHOD_NOT_ALLOWED,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_huge_body_and_another_media_type_are_refused() {
    let api = Api::start().await;
    let huge = json!({"name": "x".repeat(10_000_000), "unit_price": 1});
    let (status, _) = api.put(1, huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let body = r#"{"name":"Cup","unit_price":1}"#;
    for media_type in ["text/plain", "application/xml", ""] {
        let request = api
            .request(Method::PUT, "/catalog/1")
            .header("content-type", media_type);
        let (status, _) = read(request.body(body).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media_type}");
    }
    let media_type = "application/json; charset=utf-8";
    let request = api
        .request(Method::PUT, "/catalog/1")
        .header("content-type", media_type);
    assert_eq!(
        read(request.body(body).send().await.unwrap()).await.0,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn without_its_database_the_api_says_when_to_come_again() {
    let api = Api::without_database().await;
    let put = json!({"name": "Cup", "unit_price": 1});
    let adjust = json!({"delta": 1, "reason": "x"});
    let requests = [
        api.request(Method::GET, "/catalog"),
        api.request(Method::GET, "/catalog/1"),
        api.request(Method::GET, "/catalog/1/ledger"),
        api.request(Method::PUT, "/catalog/1").json(&put),
        api.request(Method::POST, "/catalog/1/adjustments")
            .header("Idempotency-Key", "k")
            .json(&adjust),
    ];
    for response in join_all(requests.map(RequestBuilder::send)).await {
        let response = response.unwrap();
        assert_eq!(response.headers()["retry-after"], "1");
        let (status, problem) = read(response).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(problem["type"], "urn:problem:database");
    }
}

#[tokio::test]
async fn the_description_and_its_page_are_served() {
    let api = Api::start().await;
    let (status, document) = api.get("/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"].as_object().unwrap().len(), 6);
    let page = api.request(Method::GET, "/docs/").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let metrics = api.request(Method::GET, "/metrics").send().await.unwrap();
    assert!(
        metrics
            .text()
            .await
            .unwrap()
            .contains("http_requests_total")
    );
}
