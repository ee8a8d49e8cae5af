use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use shared::http::{Caller, Page, Problem, ProblemDocument};

use crate::app::App;
use crate::known_order::OrderBody;
use crate::page::{Filter, ListOrders};

/// List orders
///
/// Newest first, as far as the sink has written them. With a user's token, that user's. A page looks
/// through 10,000 orders at most: where few have the `status` asked for it may be short, even empty,
/// and still have a `next_cursor`, with which the search goes on.
#[utoipa::path(
    get,
    path = "/orders",
    tag = "orders",
    params(ListOrders),
    responses(
        (status = 200, description = "A page of orders", body = Page<OrderBody>),
        (status = 400, description = "A bad filter, limit or cursor", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token, where one is asked for", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Another user's orders", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    caller: Caller,
    app: Data<App>,
    query: Query<ListOrders>,
) -> Result<HttpResponse, Problem> {
    let mut filter = Filter::try_from(query.into_inner()).map_err(Problem::bad_query)?;
    if filter.user_id.is_some_and(|user| !caller.may_act_for(user)) {
        return Err(Problem::forbidden("the token is of another user"));
    }
    filter.user_id = filter.user_id.or(caller.only());
    let found = app.read_model.page(&filter).await?;
    Ok(HttpResponse::Ok().json(Page::from(found)))
}
