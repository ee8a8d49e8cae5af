use std::time::Duration;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use shared::contract::{DeltaKind, OrderId};
use shared::http::{Caller, Problem, ProblemDocument};
use shared::kafka::trace_id;

use super::{get, place};
use crate::app::{App, may_be_recent};
use crate::known_order::OrderBody;
use crate::new_order::delta;

/// Cancel an order
///
/// Accepted once the release is committed to Kafka; the stock comes back exactly once,
/// however often this is called. A rejected order stays rejected.
#[utoipa::path(
    post,
    path = "/orders/{id}/cancel",
    tag = "orders",
    params(("id" = String, Path, format = Uuid, description = "The order's id")),
    responses(
        (status = 202, description = "The release is committed; the order as it stood before", body = OrderBody),
        (status = 400, description = "Not an order's id", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token, where one is asked for", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such order, or another user's", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The order is not visible yet: try again after `Retry-After`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was done: try again after `Retry-After`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 504, description = "Sent but not confirmed in time: try again", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    caller: Caller,
    app: Data<App>,
    request: HttpRequest,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    let id = id.into_inner();
    let known = app
        .find_own_write(id)
        .await?
        .ok_or_else(|| not_visible(&app, id))?;
    if !caller.may_act_for(known.order.user_id) {
        return Err(get::absent(&app, id));
    }
    let (release, trace) = (
        delta(&known.order, DeltaKind::Release),
        place::trace(&request),
    );
    // A release may be repeated at will.
    app.publish(None, release, &trace)
        .await
        .map_err(|error| place::refused(error, id, true).about(id, trace_id(&trace)))?;
    Ok(HttpResponse::Accepted().json(OrderBody::from(&known)))
}

fn not_visible(app: &App, id: OrderId) -> Problem {
    if may_be_recent(id) {
        let detail =
            format!("order {id} is not visible here; if it was placed just now, try again");
        return Problem::conflict("not-visible", detail).retry_after(Duration::from_secs(1));
    }
    get::absent(app, id)
}
