use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use sea_orm::DbErr;
use shared::contract::ProductId;
use shared::http::Problem;
use utoipa::IntoResponses;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

use crate::catalog::CatalogError;
use crate::store::Fault;

pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) fn unknown_product(id: ProductId) -> Problem {
    CatalogError::UnknownProduct(id).into()
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        let detail = error.to_string();
        match error {
            CatalogError::UnknownProduct(_) => Self::not_found(detail),
            CatalogError::BelowZero { .. } => Self::conflict("below-zero", detail),
            CatalogError::AboveMaximum { .. } => Self::conflict("above-maximum", detail),
            CatalogError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The key belongs to another request",
            )
            .detail(detail),
            CatalogError::Database(error) => database(&error),
            CatalogError::OutcomeUnknown(error) => outcome_unknown(&error, detail),
        }
    }
}

/// Whatever is written here may be repeated at will.
fn outcome_unknown(error: &DbErr, detail: String) -> Problem {
    tracing::warn!(%error, "the database does not confirm a commit");
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "outcome-unknown",
        "The change was sent to the database, but not confirmed",
    )
    .detail(format!("{detail}: send the same request again"))
    .retry_after(RETRY_AFTER)
}

/// The client learns no more than what to do; the log has the cause.
pub(super) fn database(error: &DbErr) -> Problem {
    tracing::warn!(%error, "the database does not answer a request");
    match Fault::of(error) {
        Fault::Conflict => Problem::unavailable(
            "busy",
            "too many writers at once; nothing was changed",
            RETRY_AFTER,
        ),
        Fault::Broken => {
            Problem::unavailable("database", "the database does not answer", RETRY_AFTER)
        }
        Fault::Data => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "A rule of the database that the service does not know",
        ),
    }
}

/// What every route with a query or a path may answer.
pub(super) struct ReadProblems;

/// What every route with a body may answer.
pub(super) struct WriteProblems;

/// What every route for admins may answer.
pub(super) struct AdminProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> Responses {
        problems(&[
            (400, "The path or the query makes no sense"),
            (503, "Not possible right now; `Retry-After` says when"),
        ])
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> Responses {
        problems(&[
            (400, "Not the JSON asked for; `detail` names the place"),
            (413, "The body is too large"),
            (415, "The body is not `application/json`"),
            (422, "A rule is broken; `errors` names each"),
            (
                503,
                "Nothing was changed; `Retry-After` says when to try again",
            ),
            (
                504,
                "Sent, but not confirmed: the same request again changes nothing twice",
            ),
        ])
    }
}

impl IntoResponses for AdminProblems {
    fn responses() -> Responses {
        problems(&[
            (401, "No valid token, where one is asked for"),
            (403, "The token has not the role `admin`"),
        ])
    }
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn problems(list: &[(u16, &str)]) -> Responses {
    let response = |(status, description): &(u16, &str)| {
        let schema = Ref::from_schema_name("ProblemDocument");
        let content = Content::new(Some(schema));
        let response = ResponseBuilder::new()
            .description(*description)
            .content("application/problem+json", content)
            .build();
        (status.to_string(), response.into())
    };
    list.iter().map(response).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::http::header;

    use super::*;

    #[test]
    fn of_a_commit_without_an_answer_nobody_says_that_nothing_was_changed() {
        let broken = || DbErr::Custom("cut off".to_owned());
        for (error, status) in [
            (CatalogError::Database(broken()), 503),
            (CatalogError::OutcomeUnknown(broken()), 504),
        ] {
            let answer = Problem::from(error).error_response();
            assert_eq!(answer.status(), status);
            assert!(answer.headers().contains_key(header::RETRY_AFTER));
        }
    }
}
