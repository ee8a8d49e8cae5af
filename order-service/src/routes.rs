//! The HTTP API. One file per operation: DTO, handler and description together.

mod cancel;
mod get;
mod list;
mod place;
mod stream;

use actix_web::web::{self, Data, ServiceConfig};
use shared::http::method_not_allowed;
use utoipa::OpenApi;

use crate::app::App;

pub(crate) fn configure(config: &mut ServiceConfig, app: Data<App>) {
    config
        .app_data(app)
        .service(
            web::resource("/orders")
                .route(web::post().to(place::place))
                .route(web::get().to(list::list))
                .default_service(method_not_allowed("GET, POST")),
        )
        .service(
            web::resource("/orders/stream")
                .route(web::get().to(stream::stream))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            web::resource("/orders/{id}")
                .route(web::get().to(get::get))
                .default_service(method_not_allowed("GET")),
        )
        .service(
            web::resource("/orders/{id}/cancel")
                .route(web::post().to(cancel::cancel))
                .default_service(method_not_allowed("POST")),
        );
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "order-service",
        description = "Takes orders and writes nothing but Kafka records."
    ),
    paths(place::place, list::list, get::get, cancel::cancel, stream::stream),
    components(schemas(shared::http::ProblemDocument)),
    external_docs(
        url = "/asyncapi.json",
        description = "Its records on Kafka (AsyncAPI 3)"
    )
)]
struct ApiDoc;

/// The API's description, as served at `/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}
