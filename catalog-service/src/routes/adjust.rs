use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use shared::contract::ProductId;
use shared::http::{Admin, FieldError, JsonBody, Problem, ProblemDocument, idempotency_key};
use utoipa::ToSchema;

use super::Answer;
use super::problem::{AdminProblems, WriteProblems};
use super::rules::{check_range, check_text};
use crate::catalog::{Adjustment, Catalog, MAX_ADJUSTMENT, Written};
use crate::entities::Entry;

/// A restock or a write-off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentRequest {
    /// What comes in, or goes out if negative; not 0.
    #[schema(example = 50, minimum = -1_000_000_000, maximum = 1_000_000_000)]
    pub delta: i64,
    #[schema(example = "restock", min_length = 1, max_length = 255)]
    pub reason: String,
}

type Parts = (
    ProductId,
    Result<Option<String>, FieldError>,
    AdjustmentRequest,
);

impl TryFrom<Parts> for Adjustment {
    type Error = Vec<FieldError>;

    fn try_from((product_id, key, request): Parts) -> Result<Self, Self::Error> {
        let missing = || FieldError::new("Idempotency-Key", "is required");
        let mut errors = Vec::new();
        check_range(
            "delta",
            request.delta,
            (-MAX_ADJUSTMENT, MAX_ADJUSTMENT),
            &mut errors,
        );
        if request.delta == 0 {
            errors.push(FieldError::new("delta", "must not be 0"));
        }
        check_text("reason", &request.reason, &mut errors);
        match key.and_then(|key| key.ok_or_else(missing)) {
            Ok(key) if errors.is_empty() => {
                let AdjustmentRequest { delta, reason } = request;
                Ok(Self {
                    product_id,
                    key,
                    delta,
                    reason,
                })
            }
            key => {
                errors.extend(key.err());
                Err(errors)
            }
        }
    }
}

/// Restock a product or write stock off, once per key
#[utoipa::path(
    post,
    path = "/catalog/{product_id}/adjustments",
    tag = "catalog",
    params(
        ("product_id" = i64, Path, example = 1),
        (
            "Idempotency-Key" = String,
            Header,
            description = "1 to 255 visible ASCII characters; a repeated key changes nothing",
            example = "restock-2026-11-24",
        ),
    ),
    request_body = AdjustmentRequest,
    responses(
        (status = 200, description = "A replay: the entry that the key made", body = Entry),
        (status = 201, description = "Stock has changed", body = Entry),
        (
            status = 404,
            description = "No such product",
            body = ProblemDocument,
            content_type = "application/problem+json",
        ),
        (
            status = 409,
            description = "Stock would fall below zero",
            body = ProblemDocument,
            content_type = "application/problem+json",
        ),
        AdminProblems,
        WriteProblems,
    ),
)]
pub(super) async fn adjust(
    _: Admin,
    catalog: Data<Catalog>,
    path: Path<ProductId>,
    http: HttpRequest,
    JsonBody(request): JsonBody<AdjustmentRequest>,
) -> Answer<HttpResponse> {
    let key = idempotency_key(http.headers());
    let adjustment = Adjustment::try_from((path.into_inner(), key, request));
    let adjustment = adjustment.map_err(Problem::invalid)?;
    Ok(match catalog.adjust(&adjustment).await? {
        Written::New(entry) => HttpResponse::Created().json(entry),
        Written::Existing(entry) => HttpResponse::Ok().json(entry),
    })
}
