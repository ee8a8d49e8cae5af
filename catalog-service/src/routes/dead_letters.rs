use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use serde::{Deserialize, Serialize};
use shared::contract::Timestamp;
use shared::http::{Admin, FieldError, Page, Problem, ProblemDocument, bad_cursor, page_limit};
use shared::kafka::{Letter, LetterAddress};
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use super::problem::{self, RETRY_AFTER, ReadProblems};
use crate::dead_letters::{DeadLetters, ReplayError, Replayed};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListLetters {
    /// Items per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A record that could not be applied.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetter {
    /// With `offset`, where the letter is: its address for a replay.
    partition: i32,
    offset: i64,
    reason: Option<String>,
    /// Where the record came from.
    original: Original,
    key: Option<Bytes>,
    payload: Option<Bytes>,
    /// How much of the payload is kept, if not all of it.
    truncated: Option<String>,
    /// When it died.
    timestamp: Option<Timestamp>,
    /// When it was put back.
    replayed_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Original {
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Bytes {
    encoding: Encoding,
    text: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) enum Encoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self {
                encoding: Encoding::Utf8,
                text: text.to_owned(),
            },
            Err(_) => Self {
                encoding: Encoding::Base64,
                text: BASE64_STANDARD.encode(bytes),
            },
        }
    }
}

impl From<&Letter> for DeadLetter {
    fn from(letter: &Letter) -> Self {
        let header = |key| letter.header(key).map(str::to_owned);
        let LetterAddress { partition, offset } = letter.address();
        let message = &letter.message;
        let original = Original {
            topic: header("dlq.topic"),
            partition: letter.header("dlq.partition").and_then(|n| n.parse().ok()),
            offset: letter.header("dlq.offset").and_then(|n| n.parse().ok()),
        };
        Self {
            partition,
            offset,
            reason: header("dlq.reason"),
            original,
            key: message.key().map(Bytes::from),
            payload: message.payload().map(Bytes::from),
            truncated: header("dlq.truncated"),
            timestamp: message
                .timestamp()
                .to_millis()
                .and_then(Timestamp::from_millis),
            replayed_at: letter.replayed_at.and_then(Timestamp::from_millis),
        }
    }
}

/// The deltas that could not be applied, by partition, oldest first
#[utoipa::path(
    get,
    path = "/dead-letters",
    tag = "dead letters",
    params(ListLetters),
    responses((status = 200, body = Page<DeadLetter>), ReadProblems),
)]
pub(super) async fn list(
    _: Admin,
    letters: Data<DeadLetters>,
    query: Query<ListLetters>,
) -> Answer<Json<Page<DeadLetter>>> {
    let (after, limit) = position(&query).map_err(Problem::bad_query)?;
    let one_more = usize::try_from(limit + 1).unwrap_or(usize::MAX);
    let found = letters.topic.page(after, one_more).await;
    let found = found.map_err(|error| broker(&error))?;
    let items = found.iter().map(DeadLetter::from).collect();
    Ok(Json(Page::of(items, limit, |last: &DeadLetter| {
        let address = LetterAddress {
            partition: last.partition,
            offset: last.offset,
        };
        address.to_string()
    })))
}

fn position(query: &ListLetters) -> Result<(Option<LetterAddress>, u64), Vec<FieldError>> {
    let after = query.cursor.as_deref().map(str::parse).transpose();
    match (page_limit(query.limit), after) {
        (Ok(limit), Ok(after)) => Ok((after, limit)),
        (limit, after) => {
            let cursor = after.err().map(|_| bad_cursor());
            Err(limit.err().into_iter().chain(cursor).collect())
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayAnswer {
    #[schema(example = "replayed")]
    status: &'static str,
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
            description = "`replayed`; `already replayed` or `already applied`: nothing was done",
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
            ReplayError::Truncated(_) | ReplayError::Foreign(_) | ReplayError::Bad(_) => Self::new(
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
