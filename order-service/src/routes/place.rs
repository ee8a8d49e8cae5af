use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use shared::contract::{DeltaKind, Order, OrderId};
use shared::http::{
    Caller, JsonBody, Problem, ProblemDocument, idempotency_key, prefer_wait, trace_parent_of,
};
use shared::kafka::{trace_id, trace_parent};

use crate::app::App;
use crate::known_order::{KnownOrder, OrderBody};
use crate::new_order::{NewOrder, PlaceOrder, delta};
use crate::publisher::PublishError;
use crate::tail::Awaited;

/// Place an order
///
/// Answered once the order and its reservation are committed to Kafka, together.
#[utoipa::path(
    post,
    path = "/orders",
    tag = "orders",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: the same order under the same key is placed once, however often it is sent"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the outcome", example = "wait=5"),
    ),
    request_body = PlaceOrder,
    responses(
        (status = 201, description = "Committed", body = OrderBody, headers(("Location" = String, description = "The order"))),
        (status = 200, description = "Already placed with this idempotency key", body = OrderBody),
        (status = 400, description = "Not the JSON asked for", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token, where one is asked for", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The token is of another user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken, or the key was used for another order", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was done: try again after `Retry-After`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 504, description = "Sent but not confirmed in time: look the order up at `Location`, or send it again if it had a key", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn place(
    caller: Caller,
    app: Data<App>,
    request: HttpRequest,
    body: JsonBody<PlaceOrder>,
) -> Result<HttpResponse, Problem> {
    let wait = prefer_wait(request.headers())?;
    let order = new_order(&request, body.0)?.into_order();
    if !caller.may_act_for(order.user_id) {
        return Err(Problem::forbidden("the token is not of the order's user"));
    }
    if let Some(placed) = app.already_placed(&order).await {
        return replay(&app, &order, placed, wait).await;
    }
    // Registered before the record is sent, or the outcome could slip by.
    let outcome = wait.map(|wait| (app.tail.waiter(order.id, Awaited::Outcome), wait));
    let keyed = order.idempotency_key.is_some();
    let (reservation, trace) = (delta(&order, DeltaKind::Reserve), trace(&request));
    app.publish(Some(order.clone()), reservation, &trace)
        .await
        .map_err(|error| refused(error, order.id, keyed).about(order.id, trace_id(&trace)))?;
    app.tail.keep(&order);
    app.accepted.offer(order.id, order.created_at);
    let known = match outcome {
        Some((outcome, wait)) => app.after_wait(order, outcome, wait).await,
        None => KnownOrder::placed(order),
    };
    Ok(answer(StatusCode::CREATED, &known, wait))
}

fn new_order(request: &HttpRequest, body: PlaceOrder) -> Result<NewOrder, Problem> {
    match idempotency_key(request.headers()) {
        Ok(key) => NewOrder::new(body, key).map_err(Problem::invalid),
        Err(bad_key) => {
            let mut errors = NewOrder::new(body, None).err().unwrap_or_default();
            errors.push(bad_key);
            Err(Problem::invalid(errors))
        }
    }
}

async fn replay(
    app: &App,
    order: &Order,
    mut placed: KnownOrder,
    wait: Option<Duration>,
) -> Result<HttpResponse, Problem> {
    let id = placed.order.id;
    if id != order.id {
        return Err(key_reused(id));
    }
    if let Some(wait) = wait
        && let Ok(Some(decided)) = app.find_decided(id, wait).await
    {
        placed = decided;
    }
    Ok(answer(StatusCode::OK, &placed, wait))
}

fn key_reused(id: OrderId) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The idempotency key was used for another order",
    )
    .detail(format!("order {id} was placed with it; use a new key"))
    .id(id)
}

fn answer(status: StatusCode, known: &KnownOrder, waited: Option<Duration>) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((LOCATION, location(known.order.id)));
    if let Some(wait) = waited {
        response.insert_header(("Preference-Applied", format!("wait={}", wait.as_secs())));
    }
    response.json(OrderBody::from(known))
}

fn location(id: OrderId) -> String {
    format!("/orders/{id}")
}

/// The trace that a record continues.
pub(super) fn trace(request: &HttpRequest) -> String {
    trace_parent_of(request).unwrap_or_else(|| trace_parent(None))
}

/// 503 where nothing was sent, 504 where it may have been. Only a request with a key is
/// told to try again after a 504: without one it would place a second order.
pub(super) fn refused(error: PublishError, id: OrderId, repeatable: bool) -> Problem {
    let soon = Duration::from_secs(1);
    if error != PublishError::OutcomeUnknown {
        return Problem::unavailable(
            "not-accepted",
            format!("{error}; nothing was written"),
            soon,
        );
    }
    let problem = Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "outcome-unknown",
        "The order was sent, but not confirmed in time",
    )
    .detail(format!(
        "{error}; it may still be committed: look it up at {}",
        location(id)
    ))
    .id(id)
    .location(location(id));
    if repeatable {
        problem.retry_after(soon)
    } else {
        problem
    }
}
