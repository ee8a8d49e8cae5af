//! The HTTP API. A file per route: its request, its OpenAPI description, its handler.

mod adjust;
mod dead_letters;
mod get_product;
mod list_ledger;
mod list_products;
mod problem;
mod put_product;
mod rules;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use shared::http::{FieldError, Problem, ProblemDocument, method_not_allowed, to_the_end};
use utoipa::OpenApi;

use crate::catalog::Catalog;
use crate::dead_letters::DeadLetters;
use crate::entities::{Entry, EntryKind, Product};

pub use adjust::AdjustmentRequest;
pub use put_product::ProductRequest;

/// The whole route table, but for what every service has.
pub fn configure(config: &mut ServiceConfig, catalog: Catalog, letters: DeadLetters) {
    config
        .app_data(Data::new(catalog))
        .app_data(Data::new(letters))
        .service(
            web::scope("")
                .wrap(from_fn(to_the_end))
                .service(
                    web::resource("/catalog")
                        .get(list_products::list_products)
                        .default_service(method_not_allowed("GET")),
                )
                .service(
                    web::resource("/catalog/{product_id}")
                        .get(get_product::get_product)
                        .put(put_product::put_product)
                        .default_service(method_not_allowed("GET, PUT")),
                )
                .service(
                    web::resource("/catalog/{product_id}/adjustments")
                        .post(adjust::adjust)
                        .default_service(method_not_allowed("POST")),
                )
                .service(
                    web::resource("/catalog/{product_id}/ledger")
                        .get(list_ledger::list_ledger)
                        .default_service(method_not_allowed("GET")),
                )
                .service(
                    web::resource("/dead-letters")
                        .get(dead_letters::list)
                        .default_service(method_not_allowed("GET")),
                )
                .service(
                    web::resource("/dead-letters/{partition}/{offset}/replay")
                        .post(dead_letters::replay)
                        .default_service(method_not_allowed("POST")),
                ),
        );
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "catalog-service",
        description = "Products, their stock, and every movement of it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "http://127.0.0.1:8082")),
    paths(
        list_products::list_products,
        get_product::get_product,
        put_product::put_product,
        adjust::adjust,
        list_ledger::list_ledger,
        dead_letters::list,
        dead_letters::replay,
    ),
    components(schemas(Product, Entry, EntryKind, ProblemDocument, FieldError)),
    external_docs(url = "/asyncapi.json", description = "Its records on Kafka (AsyncAPI 3)"),
)]
struct Api;

/// The document behind `/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

type Answer<T> = Result<T, Problem>;
