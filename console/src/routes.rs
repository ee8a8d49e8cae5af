//! The page, its stream, and what its buttons do. Every change takes a JSON body, which another
//! site's page cannot send without being allowed to.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::json;
use shared::contract::OrderId;
use shared::http::{Admin, FieldError, JsonBody, Problem};
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use crate::audit::Answer;
use crate::breaker::Action;
use crate::hub::Hub;
use crate::page;
use crate::race::Race;
use crate::shop::{BurstError, Forwarded, MAX_BURST, NewOrder, Shop};

const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Console {
    pub(crate) hub: Arc<Hub>,
    pub(crate) shop: Arc<Shop>,
    pub(crate) race: Option<Arc<Race>>,
    pub(crate) drain: CancellationToken,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBurst {
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restock {
    delta: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strike {
    #[serde(rename = "do")]
    what: Action,
}

pub(crate) fn configure(config: &mut ServiceConfig, console: Data<Console>) {
    config
        .app_data(console)
        .route("/", web::get().to(page::index))
        .route("/console/{file}", web::get().to(page::file))
        .route("/api/stream", web::get().to(stream))
        .route("/api/orders", web::post().to(place))
        .route("/api/orders/{id}/cancel", web::post().to(cancel))
        .route("/api/bursts", web::post().to(burst))
        .route("/api/products/{id}/restock", web::post().to(restock))
        .route(
            "/api/dead-letters/{source}/{partition}/{offset}/replay",
            web::post().to(replay),
        )
        .route("/api/parts/{part}", web::post().to(strike))
        .route("/api/races", web::post().to(race))
        .route("/api/broken-records", web::post().to(break_record));
}

async fn stream(_: Admin, console: Data<Console>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-store"))
        .streaming(follow(console.hub.watch(), console.drain.clone()))
}

/// The latest state, whenever there is one; how many watch costs the pair nothing.
fn follow(
    watch: Receiver<Bytes>,
    drain: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((watch, drain), |(mut watch, drain)| async move {
        let changed = drain.run_until_cancelled(watch.changed()).await;
        changed.and_then(Result::ok)?;
        let event = watch.borrow_and_update().clone();
        Some((Ok(event), (watch, drain)))
    })
}

async fn place(
    _: Admin,
    console: Data<Console>,
    order: JsonBody<NewOrder>,
) -> Result<HttpResponse, Problem> {
    // Long enough for the outcome where nothing is broken.
    let sent = console.shop.place(&order.0, Some("wait=2")).await;
    match (sent.answer, sent.last) {
        (Answer::Unknown, _) | (_, None) => Err(Problem::unavailable(
            "order-service",
            "no order-service answered; the order may be placed: see below",
            RETRY_AFTER,
        )),
        (_, Some(answer)) => Ok(pass_on(answer)),
    }
}

async fn cancel(
    _: Admin,
    console: Data<Console>,
    id: Path<OrderId>,
    _: JsonBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    forwarded(console.shop.cancel(id.into_inner()).await)
}

async fn burst(
    _: Admin,
    console: Data<Console>,
    burst: JsonBody<NewBurst>,
) -> Result<HttpResponse, Problem> {
    let count = burst.0.count;
    if !(1..=MAX_BURST).contains(&count) {
        let error = FieldError::new("count", format!("must be 1 to {MAX_BURST}"));
        return Err(Problem::invalid(vec![error]));
    }
    match console.shop.begin_burst(count) {
        Ok(()) => Ok(HttpResponse::Accepted().json(json!({"count": count}))),
        Err(error @ BurstError::Running) => Err(Problem::conflict("running", error.to_string())),
        Err(error @ BurstError::NoProducts) => Err(Problem::unavailable(
            "catalog-service",
            error.to_string(),
            RETRY_AFTER,
        )),
    }
}

async fn restock(
    _: Admin,
    console: Data<Console>,
    id: Path<i64>,
    restock: JsonBody<Restock>,
) -> Result<HttpResponse, Problem> {
    forwarded(console.shop.restock(id.into_inner(), restock.0.delta).await)
}

async fn replay(
    _: Admin,
    console: Data<Console>,
    address: Path<(String, i32, i64)>,
    _: JsonBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let (source, partition, offset) = address.into_inner();
    let replayed = console.shop.replay(&source, (partition, offset)).await;
    forwarded(replayed.ok_or_else(|| Problem::not_found("nobody has such dead letters"))?)
}

async fn strike(
    _: Admin,
    console: Data<Console>,
    part: Path<String>,
    strike: JsonBody<Strike>,
) -> Result<HttpResponse, Problem> {
    let struck = breakable(&console)?
        .breaker
        .strike(part.into_inner(), strike.0.what)
        .await;
    match struck {
        Ok(()) => Ok(HttpResponse::Ok().json(json!({}))),
        Err(why) => Err(Problem::conflict("not-done", why)),
    }
}

/// A delta that cannot be applied.
async fn break_record(
    _: Admin,
    console: Data<Console>,
    _: JsonBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    match breakable(&console)?.breaker.send_broken_record().await {
        Ok(()) => Ok(HttpResponse::Accepted().json(json!({}))),
        Err(error) => Err(Problem::unavailable(
            "broker",
            error.to_string(),
            RETRY_AFTER,
        )),
    }
}

async fn race(
    _: Admin,
    console: Data<Console>,
    _: JsonBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    match breakable(&console)?.begin() {
        true => Ok(HttpResponse::Accepted().json(json!({}))),
        false => Err(Problem::conflict(
            "running",
            "a race is running; wait for its end",
        )),
    }
}

fn breakable(console: &Console) -> Result<&Arc<Race>, Problem> {
    let race = console.race.as_ref();
    race.ok_or_else(|| Problem::not_found("nothing is to be broken here"))
}

fn forwarded(answer: reqwest::Result<Forwarded>) -> Result<HttpResponse, Problem> {
    answer.map(pass_on).map_err(|error| {
        Problem::unavailable("service", error.without_url().to_string(), RETRY_AFTER)
    })
}

/// As the service answered.
fn pass_on(answer: Forwarded) -> HttpResponse {
    let media_type = if answer.status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    };
    HttpResponseBuilder::new(answer.status)
        .content_type(media_type)
        .json(answer.body)
}
