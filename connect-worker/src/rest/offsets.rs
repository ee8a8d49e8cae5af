use actix_web::web::{self, Data, Path};
use serde::{Deserialize, Serialize};

use super::body::Json;
use super::error::ConnectError;
use super::lifecycle::to_its_end;
use crate::supervisor::{ConnectorOffset, Supervisor};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offsets {
    offsets: Option<Vec<ConnectorOffset>>,
}

/// What was done.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    message: String,
}

type Answer<T> = Result<web::Json<T>, ConnectError>;

pub(super) async fn show(supervisor: Data<Supervisor>, name: Path<String>) -> Answer<Offsets> {
    let offsets = Some(supervisor.offsets(&name).await?);
    Ok(web::Json(Offsets { offsets }))
}

pub(super) async fn alter(
    supervisor: Data<Supervisor>,
    name: Path<String>,
    Json(request): Json<Offsets>,
) -> Answer<Message> {
    let offsets = request.offsets.unwrap_or_default();
    if offsets.is_empty() {
        return Err(ConnectError::bad_request(
            "Partitions / offsets need to be provided for an alter offsets request",
        ));
    }
    let altering = async move { supervisor.alter_offsets(&name, offsets).await };
    let message = to_its_end(altering).await?;
    Ok(web::Json(Message { message }))
}

pub(super) async fn reset(supervisor: Data<Supervisor>, name: Path<String>) -> Answer<Message> {
    let message = to_its_end(async move { supervisor.reset_offsets(&name).await }).await?;
    Ok(web::Json(Message { message }))
}
