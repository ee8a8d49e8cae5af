use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use shared::contract::ProductId;
use shared::http::{Admin, FieldError, JsonBody, Problem};
use utoipa::ToSchema;

use super::Answer;
use super::problem::{AdminProblems, WriteProblems};
use super::rules::{check_range, check_text};
use crate::catalog::{Catalog, MAX_PRICE, MAX_STOCK, ProductDetails, Written};
use crate::entities::Product;

/// A product's details.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductRequest {
    #[schema(example = "Espresso cup", min_length = 1, max_length = 255)]
    pub name: String,
    /// In minor units of the currency.
    #[schema(example = 1200, minimum = 0)]
    pub unit_price: i64,
    /// The first stock of a new product; without effect on a product that exists.
    #[serde(default)]
    #[schema(example = 100, minimum = 0, default = 0)]
    pub qty: i64,
}

impl TryFrom<(ProductId, ProductRequest)> for ProductDetails {
    type Error = Vec<FieldError>;

    fn try_from((product_id, request): (ProductId, ProductRequest)) -> Result<Self, Self::Error> {
        let mut errors = Vec::new();
        check_range("product_id", product_id.0, (1, i64::MAX), &mut errors);
        check_text("name", &request.name, &mut errors);
        check_range(
            "unit_price",
            request.unit_price,
            (0, MAX_PRICE),
            &mut errors,
        );
        check_range("qty", request.qty, (0, MAX_STOCK), &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let ProductRequest {
            name,
            unit_price,
            qty,
        } = request;
        Ok(Self {
            product_id,
            name,
            unit_price,
            qty,
        })
    }
}

/// Create a product, or rename and reprice it
#[utoipa::path(
    put,
    path = "/catalog/{product_id}",
    tag = "catalog",
    params(("product_id" = i64, Path, minimum = 1, example = 1)),
    request_body = ProductRequest,
    responses(
        (status = 200, description = "Renamed and repriced; the stock is as it was", body = Product),
        (status = 201, description = "Created", body = Product, headers(("Location" = String))),
        AdminProblems,
        WriteProblems,
    ),
)]
pub(super) async fn put_product(
    _: Admin,
    catalog: Data<Catalog>,
    path: Path<ProductId>,
    JsonBody(request): JsonBody<ProductRequest>,
) -> Answer<HttpResponse> {
    let details = ProductDetails::try_from((path.into_inner(), request));
    let details = details.map_err(Problem::invalid)?;
    Ok(match catalog.put(&details).await? {
        Written::Existing(product) => HttpResponse::Ok().json(product),
        Written::New(product) => HttpResponse::Created()
            .insert_header((LOCATION, format!("/catalog/{}", product.product_id)))
            .json(product),
    })
}
