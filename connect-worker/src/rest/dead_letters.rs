use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query};
use rdkafka::error::KafkaError;
use sea_orm::DbErr;
use shared::http::{DeadLetter, ListError, ListLetters, Page, ReplayAnswer};
use shared::kafka::{LetterAddress, Replay};

use super::error::{ConnectError, ErrorBody};
use crate::dead_letters::ReplayError;
use crate::supervisor::Supervisor;

/// The records that a sink could not write, by partition, oldest first
#[utoipa::path(
    get,
    path = "/connectors/{name}/dead-letters",
    tag = "dead letters",
    params(("name" = String, Path, example = "orders-sink"), ListLetters),
    responses(
        (status = 200, body = Page<DeadLetter>),
        (status = 400, description = "The query makes no sense", body = ErrorBody),
        (status = 401, description = "No valid token, where one is asked for"),
        (status = 403, description = "The token has not the role `admin`"),
        (
            status = 404,
            description = "No such connector, or it has no dead-letter topic",
            body = ErrorBody,
        ),
        (
            status = 409,
            description = "The connector cannot start with its configuration",
            body = ErrorBody,
        ),
        (status = 503, description = "Not possible right now", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    supervisor: Data<Supervisor>,
    name: Path<String>,
    query: Query<ListLetters>,
) -> Result<Json<Page<DeadLetter>>, ConnectError> {
    let letters = supervisor.dead_letters(&name)?;
    Ok(Json(query.of(&letters.topic).await?))
}

/// Put a dead letter back on the topic it came from, once
#[utoipa::path(
    post,
    path = "/connectors/{name}/dead-letters/{partition}/{offset}/replay",
    tag = "dead letters",
    params(
        ("name" = String, Path, example = "orders-sink"),
        ("partition" = i32, Path, example = 0),
        ("offset" = i64, Path, example = 0),
    ),
    responses(
        (
            status = 200,
            description = "`replayed`; `already replayed`: nothing was done",
            body = ReplayAnswer,
        ),
        (status = 401, description = "No valid token, where one is asked for"),
        (status = 403, description = "The token has not the role `admin`"),
        (
            status = 404,
            description = "No such dead letter or connector, or it has no dead-letter topic",
            body = ErrorBody,
        ),
        (
            status = 409,
            description = "The connector cannot start with its configuration",
            body = ErrorBody,
        ),
        (
            status = 422,
            description = "It still cannot be written; `message` says why",
            body = ErrorBody,
        ),
        (status = 503, description = "Not possible right now", body = ErrorBody),
    ),
)]
pub(super) async fn replay(
    supervisor: Data<Supervisor>,
    path: Path<(String, i32, i64)>,
) -> Result<Json<ReplayAnswer>, ConnectError> {
    let (name, partition, offset) = path.into_inner();
    let letters = supervisor.dead_letters(&name)?;
    let status = match letters.replay(LetterAddress { partition, offset }).await? {
        Replay::Done => "replayed",
        Replay::Already => "already replayed",
        Replay::NotFound => {
            let text = format!("There is no dead letter at partition {partition}, offset {offset}");
            return Err(ConnectError::new(StatusCode::NOT_FOUND, text));
        }
    };
    Ok(Json(ReplayAnswer { status }))
}

impl From<ListError> for ConnectError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Query(errors) => {
                let errors = errors.iter().map(|e| format!("{} {}", e.field, e.detail));
                Self::bad_request(errors.collect::<Vec<_>>().join("; "))
            }
            ListError::Broker(error) => broker(&error),
        }
    }
}

impl From<ReplayError> for ConnectError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Database(error) => database(&error),
            ReplayError::Broker(error) => broker(&error),
            bad => {
                let text = format!("The dead letter cannot be put back: {bad}");
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, text)
            }
        }
    }
}

fn database(error: &DbErr) -> ConnectError {
    tracing::warn!(%error, "the database does not answer a request");
    let text = "The database does not answer; nothing was put back: ask again";
    ConnectError::new(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// A replay that was cut off may have been done; to ask again is harmless.
fn broker(error: &KafkaError) -> ConnectError {
    tracing::warn!(%error, "the broker does not answer a request");
    let text = "The broker does not answer, or another replay is under way: ask again";
    ConnectError::new(StatusCode::SERVICE_UNAVAILABLE, text)
}
