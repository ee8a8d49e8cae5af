use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use shared::contract::OrderId;
use shared::http::{Caller, Problem, ProblemDocument, prefer_wait};

use crate::app::App;
use crate::known_order::{KnownOrder, OrderBody};

/// Read an order
///
/// An order is there as soon as it is committed, on every instance.
#[utoipa::path(
    get,
    path = "/orders/{id}",
    tag = "orders",
    params(
        ("id" = String, Path, format = Uuid, description = "The order's id"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for order and outcome", example = "wait=5"),
    ),
    responses(
        (status = 200, description = "The order as it stands", body = OrderBody),
        (status = 400, description = "Not an order's id", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token, where one is asked for", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such order, or another user's", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "It cannot be told for now whether there is such an order: try again after `Retry-After`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    caller: Caller,
    app: Data<App>,
    request: HttpRequest,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    let known = match prefer_wait(request.headers())? {
        None => app.find_own_write(id).await?,
        Some(wait) => app.find_decided(id, wait).await?,
    };
    let known = known.filter(|known| caller.may_act_for(known.order.user_id));
    known.as_ref().map(found).ok_or_else(|| absent(&app, id))
}

fn found(known: &KnownOrder) -> HttpResponse {
    HttpResponse::Ok().json(OrderBody::from(known))
}

pub(super) fn absent(app: &App, id: OrderId) -> Problem {
    if app.may_exist(id) {
        let detail = format!("order {id} is not visible here; it may still be: try again");
        return Problem::unavailable("not-visible", detail, Duration::from_secs(1));
    }
    Problem::not_found(format!("there is no order {id}"))
}
