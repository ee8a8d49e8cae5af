use actix_web::web::{Data, Json, Path};
use shared::contract::ProductId;
use shared::http::ProblemDocument;

use super::Answer;
use super::problem::{self, ReadProblems};
use crate::catalog::Catalog;
use crate::entities::Product;
use crate::store;

/// One product and its stock
#[utoipa::path(
    get,
    path = "/catalog/{product_id}",
    tag = "catalog",
    params(("product_id" = i64, Path, example = 1)),
    responses(
        (status = 200, body = Product),
        (
            status = 404,
            description = "No such product",
            body = ProblemDocument,
            content_type = "application/problem+json",
        ),
        ReadProblems,
    ),
)]
pub(super) async fn get_product(
    catalog: Data<Catalog>,
    path: Path<ProductId>,
) -> Answer<Json<Product>> {
    let id = path.into_inner();
    let found = store::find_product(&catalog.db, id)
        .await
        .map_err(|e| problem::database(&e))?;
    found.map(Json).ok_or_else(|| problem::unknown_product(id))
}
