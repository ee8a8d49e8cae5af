use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use shared::contract::{OrderId, Reason, Status, Timestamp};
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
/// slow reader has missed.
#[utoipa::path(
    get,
    path = "/orders/stream",
    tag = "orders",
    responses((status = 200, description = "An endless stream", content_type = "text/event-stream", body = String))
)]
pub(super) async fn stream(app: Data<App>) -> HttpResponse {
    let events = follow(app.tail.events(), app.drain.clone());
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-store"))
        .streaming(events)
}

fn follow(
    events: Receiver<Event>,
    drain: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(
        (events, Arc::new(drain)),
        |(mut events, drain)| async move {
            let text = tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => render(&event),
                    Err(RecvError::Lagged(missed)) => frame("lagged", &missed),
                    Err(RecvError::Closed) => return None,
                },
                () = tokio::time::sleep(HEARTBEAT) => ": still here\n\n".to_owned(),
                () = drain.cancelled() => return None,
            };
            Some((Ok(Bytes::from(text)), (events, drain)))
        },
    )
}

fn render(event: &Event) -> String {
    match event {
        Event::Order(order) => frame(
            "order",
            &OrderBody::from(&KnownOrder::placed(order.clone())),
        ),
        Event::Outcome(outcome) => {
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
