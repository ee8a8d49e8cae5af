//! Who may do what, where callers must prove who they are; and that secrets stay secret.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use e2e::{
    Answer, Http, NOWHERE, OrderBody, OrderPage, Process, Signal, World, binary, free_address,
};
use jsonwebtoken::{EncodingKey, Header, encode};
use libtest_mimic::Trial;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::contract::Timestamp;

use crate::session::{Session, tests, tests_without_world};

/// Services beside the world, on its broker and its databases.
pub(crate) fn trials_on_real_kafka(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_user_reaches_their_own_orders_only,
        only_an_admin_changes_the_catalog,
    ]
}

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests_without_world![session;
        only_an_admin_reaches_the_connectors,
        secrets_are_in_no_log_and_no_answer,
        a_page_of_another_origin_may_call_only_where_it_is_set,
    ]
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Part of every secret of a test.
const MARK: &str = "hush-4711-hush";

fn token(claims: Value) -> anyhow::Result<String> {
    signed(SECRET, claims)
}

fn signed(secret: &str, mut claims: Value) -> anyhow::Result<String> {
    claims["exp"] = json!(Timestamp::now().millis() / 1_000 + 600);
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(encode(&Header::default(), &claims, &key)?)
}

fn user(id: i64) -> anyhow::Result<String> {
    token(json!({ "sub": id.to_string() }))
}

fn admin() -> anyhow::Result<String> {
    token(json!({ "sub": "operator", "role": "admin" }))
}

async fn status(request: RequestBuilder, token: &str) -> anyhow::Result<u16> {
    Ok(Answer::to(request.bearer_auth(token))
        .await?
        .status
        .as_u16())
}

/// A service that asks who calls.
fn start(
    name: &str,
    folder: &Path,
    configure: impl FnOnce(&mut Command, &str),
) -> anyhow::Result<(Process, Http)> {
    let address = free_address()?;
    let prefix = name.replace('-', "_").to_uppercase();
    let mut command = binary(name)?;
    command
        .env(format!("{prefix}__HTTP__BIND"), address.to_string())
        .env(format!("{prefix}__HTTP__AUTH__HS256_SECRET"), SECRET);
    configure(&mut command, &prefix);
    let http = Http::new(&format!("http://{address}"))?;
    Ok((Process::start(name, command, folder)?, http))
}

fn on_broker_of(world: &World, command: &mut Command, prefix: &str) {
    let servers = world.kafka.bootstrap_servers();
    command.env(format!("{prefix}__KAFKA__BOOTSTRAP_SERVERS"), servers);
}

async fn stops(process: &Process) -> anyhow::Result<()> {
    let status = process.stop(Signal::Terminate, STOP_WITHIN).await?;
    ensure!(status.success(), "{status}: {}", process.output()?);
    Ok(())
}

/// 401 with the challenge of RFC 6750, and as a problem.
async fn asks_who_calls(request: RequestBuilder) -> anyhow::Result<()> {
    let answer = Answer::to(request).await?.expect(401)?;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(answer.problem()?.kind, "urn:problem:unauthorized");
    Ok(())
}

async fn a_user_reaches_their_own_orders_only(world: &World) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("orders.db");
    let (process, http) = start("order-service", folder.path(), |command, prefix| {
        on_broker_of(world, command, prefix);
        command
            .env("ORDER_SERVICE__INSTANCE_ID", "e2e-security")
            .env(
                "ORDER_SERVICE__DATABASE__URL",
                format!("sqlite://{}?mode=rwc", database.display()),
            )
            .env("ORDER_SERVICE__CONNECT__URL", "");
    })?;
    process.complete(&http).await?;
    let order = world.new_order(world.new_product(10).await?, 1);
    let (owner, other) = (user(order.user_id)?, user(order.user_id + 1_000_000)?);
    let place = || http.post("/orders").json(&order);

    asks_who_calls(place()).await?;
    asks_who_calls(http.get("/orders")).await?;
    asks_who_calls(http.get("/orders/stream")).await?;
    assert_eq!(status(place(), &other).await?, 403);
    let placed: OrderBody = Answer::to(place().bearer_auth(&owner))
        .await?
        .expect(201)?
        .json()?;
    let path = format!("/orders/{}", placed.id);
    let cancel = format!("{path}/cancel");
    for (token, seen, cancelled) in [
        (&other, 404, 404),
        (&owner, 200, 202),
        (&admin()?, 200, 202),
    ] {
        assert_eq!(status(http.get(&path), token).await?, seen);
        assert_eq!(status(http.post(&cancel), token).await?, cancelled);
    }
    let others = format!("/orders?user_id={}", order.user_id);
    assert_eq!(status(http.get(&others), &other).await?, 403);
    let own = Answer::to(http.get("/orders").bearer_auth(&other))
        .await?
        .expect(200)?;
    ensure!(own.json::<OrderPage>()?.items.is_empty(), "{}", own.text());
    for open in ["/livez", "/readyz", "/metrics", "/openapi.json"] {
        Answer::to(http.get(open)).await?.expect(200)?;
    }
    stops(&process).await
}

async fn only_an_admin_changes_the_catalog(world: &World) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("catalog.db");
    let topics = ["CATALOG_DELTAS", "ORDER_OUTCOMES", "DEAD_LETTERS"];
    let own = |topic: &str| format!("security-{}-{topic}", world.unique());
    let names = topics.map(own);
    let (process, http) = start("catalog-service", folder.path(), |command, prefix| {
        on_broker_of(world, command, prefix);
        command.env(
            "CATALOG_SERVICE__DATABASE__URL",
            format!("sqlite://{}?mode=rwc", database.display()),
        );
        for (topic, name) in topics.iter().zip(&names) {
            command.env(format!("CATALOG_SERVICE__TOPICS__{topic}__NAME"), name);
        }
        command.env("CATALOG_SERVICE__GROUP", &names[0]);
    })?;
    process.complete(&http).await?;
    let product = json!({ "name": "Cup", "unit_price": 1, "qty": 1 });
    let put = || http.put("/catalog/1").json(&product);
    let adjustment = json!({ "delta": 1, "reason": "a test" });
    let adjust = || {
        let request = http.post("/catalog/1/adjustments").json(&adjustment);
        request.header("Idempotency-Key", "a")
    };
    let letters = || http.get("/dead-letters");
    let replay = || http.post("/dead-letters/0/0/replay");
    for request in [put(), adjust(), letters(), replay()] {
        asks_who_calls(request).await?;
    }
    for request in [put(), adjust(), letters(), replay()] {
        assert_eq!(status(request, &user(1)?).await?, 403);
    }
    for (request, expected) in [
        (put(), 201),
        (adjust(), 201),
        (letters(), 200),
        (replay(), 404),
    ] {
        assert_eq!(status(request, &admin()?).await?, expected);
    }
    Answer::to(http.get("/catalog/1")).await?.expect(200)?;
    stops(&process).await?;
    let names = names.each_ref().map(String::as_str);
    world.kafka.delete_topics(&names).await
}

async fn only_an_admin_reaches_the_connectors() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (process, http) = start("connect-worker", folder.path(), |command, prefix| {
        command
            .env(format!("{prefix}__KAFKA__BOOTSTRAP_SERVERS"), NOWHERE)
            // Without a broker it could not read its connectors.
            .env(format!("{prefix}__STORE__CONFIGS_TOPIC"), "");
    })?;
    process.readiness(&http, "unready").await?;
    let letters = "/connectors/x/dead-letters";
    let replay = format!("{letters}/0/0/replay");
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/connectors"),
        (Method::GET, "/connectors/x/status"),
        (Method::DELETE, "/connectors/x"),
        (Method::GET, letters),
        (Method::POST, &*replay),
    ] {
        let request = || http.request(method.clone(), path);
        asks_who_calls(request()).await?;
        assert_eq!(status(request(), &user(1)?).await?, 403, "{path}");
    }
    assert_eq!(status(http.get(letters), &admin()?).await?, 404);
    assert_eq!(status(http.get("/connectors"), &admin()?).await?, 200);
    Answer::to(http.get("/livez")).await?.expect(200)?;
    process.kill()
}

/// Nothing that they need is there: they complain of all of it, and must not tell the secrets.
async fn secrets_are_in_no_log_and_no_answer() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let key = format!("{MARK}{SECRET}");
    let token = signed(&key, json!({ "sub": "operator", "role": "admin" }))?;
    for (name, read, url) in [
        (
            "order-service",
            "/orders",
            format!("mysql://me:{MARK}@{NOWHERE}/orders"),
        ),
        (
            "catalog-service",
            "/catalog",
            format!("postgres://me:{MARK}@{NOWHERE}/catalog"),
        ),
        ("connect-worker", "/connectors", String::new()),
    ] {
        let (process, http) = start(name, folder.path(), |command, prefix| {
            command
                .env(format!("{prefix}__KAFKA__BOOTSTRAP_SERVERS"), NOWHERE)
                .env(format!("{prefix}__KAFKA__PROPERTIES__SASL_PASSWORD"), MARK)
                .env(format!("{prefix}__KAFKA__PROPERTIES__SASL_USERNAME"), "me")
                .env(format!("{prefix}__HTTP__AUTH__HS256_SECRET"), &key)
                .env(format!("{prefix}__LOG__LEVEL"), "debug");
            if !url.is_empty() {
                command.env(format!("{prefix}__DATABASE__URL"), &url);
            }
        })?;
        process.readiness(&http, "unready").await?;
        let answer = Answer::to(http.get(read).bearer_auth(&token)).await?;
        ensure!(!answer.text().contains(MARK), "{}", answer.text());
        let readiness = http.readiness().await?.to_string();
        ensure!(!readiness.contains(MARK), "{readiness}");
        let log = process.output()?;
        let told = log.lines().find(|line| line.contains(MARK));
        ensure!(told.is_none(), "{name}: {told:?}");
        process.kill()?;
    }
    Ok(())
}

async fn a_page_of_another_origin_may_call_only_where_it_is_set() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let allowed = "https://shop.example";
    for origins in [None, Some(allowed)] {
        let (process, http) = start("connect-worker", folder.path(), |command, prefix| {
            command.env(format!("{prefix}__KAFKA__BOOTSTRAP_SERVERS"), NOWHERE);
            if let Some(origin) = origins {
                let origins = format!("http://localhost:3000,{origin}");
                command.env(format!("{prefix}__HTTP__CORS_ORIGINS"), origins);
            }
        })?;
        process.readiness(&http, "unready").await?;
        for (origin, expected) in [(allowed, origins), ("https://evil.example", None)] {
            let preflight = http
                .request(Method::OPTIONS, "/connectors")
                .header("Origin", origin)
                .header("Access-Control-Request-Method", "POST")
                .header("Access-Control-Request-Headers", "authorization");
            let answer = Answer::to(preflight).await?;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                expected,
                "{origin}"
            );
        }
        process.kill()?;
    }
    Ok(())
}
