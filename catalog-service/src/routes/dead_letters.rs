use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query};
use rdkafka::error::KafkaError;
use shared::http::{
    Admin, DeadLetter, ListError, ListLetters, Page, Problem, ProblemDocument, ReplayAnswer,
};
use shared::kafka::LetterAddress;

use super::Answer;
use super::problem::{self, AdminProblems, RETRY_AFTER, ReadProblems};
use crate::dead_letters::{DeadLetters, ReplayError, Replayed};

/// The deltas that could not be applied, by partition, oldest first
#[utoipa::path(
    get,
    path = "/dead-letters",
    tag = "dead letters",
    params(ListLetters),
    responses((status = 200, body = Page<DeadLetter>), AdminProblems, ReadProblems),
)]
pub(super) async fn list(
    _: Admin,
    letters: Data<DeadLetters>,
    query: Query<ListLetters>,
) -> Answer<Json<Page<DeadLetter>>> {
    let page = query.of(&letters.topic).await;
    page.map(Json).map_err(|error| match error {
        ListError::Query(errors) => Problem::bad_query(errors),
        ListError::Broker(error) => broker(&error),
    })
}

/// Put a dead letter back on its topic, once
#[utoipa::path(
    post,
    path = "/dead-letters/{partition}/{offset}/replay",
    tag = "dead letters",
    params(
        ("partition" = i32, Path, example = 0),
        ("offset" = i64, Path, example = 0),
    ),
    responses(
        (
            status = 200,
            description = "`replayed`; `already replayed`: nothing was done; `already applied`: \
                           its delta is in the ledger, and the letter waits no more",
            body = ReplayAnswer,
        ),
        (
            status = 404,
            description = "No such dead letter",
            body = ProblemDocument,
            content_type = "application/problem+json",
        ),
        (
            status = 422,
            description = "It still cannot be applied; `detail` says why",
            body = ProblemDocument,
            content_type = "application/problem+json",
        ),
        AdminProblems,
        ReadProblems,
    ),
)]
pub(super) async fn replay(
    _: Admin,
    letters: Data<DeadLetters>,
    path: Path<(i32, i64)>,
) -> Answer<Json<ReplayAnswer>> {
    let (partition, offset) = path.into_inner();
    let address = LetterAddress { partition, offset };
    let status = match letters.replay(address).await? {
        Replayed::Now => "replayed",
        Replayed::Before => "already replayed",
        Replayed::Applied => "already applied",
    };
    Ok(Json(ReplayAnswer { status }))
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        let detail = error.to_string();
        match error {
            ReplayError::NotFound(_) => Self::not_found(detail),
            ReplayError::Database(error) => problem::database(&error),
            ReplayError::Broker(error) => broker(&error),
            ReplayError::Letter(_) | ReplayError::Foreign(..) | ReplayError::Bad(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not-replayable",
                "The dead letter cannot be put back",
            )
            .detail(detail),
        }
    }
}

/// A replay that was cut off may have been done; to ask again is harmless.
fn broker(error: &KafkaError) -> Problem {
    tracing::warn!(%error, "the broker does not answer a request");
    Problem::unavailable(
        "broker",
        "the broker does not answer, or another replay is under way; ask again",
        RETRY_AFTER,
    )
}
