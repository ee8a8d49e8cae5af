use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use shared::contract::{OrderId, Reason, Status, Timestamp, UserId};
use shared::http::{Caller, ProblemDocument};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::known_order::{KnownOrder, OrderBody};
use crate::tail::Event;

/// Proxies close what is silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Serialize)]
struct OutcomeBody {
    order_id: OrderId,
    status: Status,
    reason: Option<Reason>,
    decided_at: Timestamp,
}

/// Follow orders and outcomes
///
/// Server-sent events as they are committed: `order` with an order, `outcome` with
/// `{order_id, status, reason, decided_at}`, `lagged` with the number of events that a
/// slow reader has missed. The two outcomes of an order that is cancelled may come in either
/// order, and any may come again: CANCELLED is final. With a user's token, that user's: outcomes
/// as long as the order is recent or undecided, so not the cancellation of an old one.
#[utoipa::path(
    get,
    path = "/orders/stream",
    tag = "orders",
    responses(
        (status = 200, description = "An endless stream", content_type = "text/event-stream", body = String),
        (status = 401, description = "No valid token, where one is asked for", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stream(caller: Caller, app: Data<App>) -> HttpResponse {
    let wanted = move |event: &Event| match caller.only() {
        Some(user) => is_of(user, event),
        None => true,
    };
    let events = follow(app.tail.events(), app.drain.clone(), wanted);
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-store"))
        .streaming(events)
}

fn follow(
    events: Receiver<Event>,
    drain: CancellationToken,
    wanted: impl Fn(&Event) -> bool,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((events, wanted), move |(mut events, wanted)| {
        let drain = drain.clone();
        async move {
            let text = tokio::select! {
                text = next(&mut events, &wanted) => text?,
                () = tokio::time::sleep(HEARTBEAT) => ": still here\n\n".to_owned(),
                () = drain.cancelled() => return None,
            };
            Some((Ok(Bytes::from(text)), (events, wanted)))
        }
    })
}

/// `None` at the end.
async fn next(events: &mut Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Option<String> {
    loop {
        match events.recv().await {
            Ok(event) if !wanted(&event) => {}
            Ok(event) => return Some(render(&event)),
            Err(RecvError::Lagged(missed)) => return Some(frame("lagged", &missed)),
            Err(RecvError::Closed) => return None,
        }
    }
}

fn is_of(user: UserId, event: &Event) -> bool {
    match event {
        Event::Order(order) => order.user_id == user,
        Event::Outcome { owner, .. } => *owner == Some(user),
    }
}

fn render(event: &Event) -> String {
    match event {
        Event::Order(order) => frame(
            "order",
            &OrderBody::from(&KnownOrder::placed(order.clone())),
        ),
        Event::Outcome { outcome, .. } => {
            let body = OutcomeBody {
                order_id: outcome.order_id,
                status: outcome.status,
                reason: outcome.reason,
                decided_at: outcome.decided_at,
            };
            frame("outcome", &body)
        }
    }
}

fn frame(event: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {event}\ndata: {data}\n\n")
}
