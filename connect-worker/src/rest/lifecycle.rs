use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::Deserialize;

use super::error::ConnectError;
use crate::supervisor::{Supervisor, Target};

type Done = Result<HttpResponse, ConnectError>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Restart {
    include_tasks: bool,
    only_failed: bool,
}

/// As in Connect: 204 without parameters, else 202 and the status.
pub(super) async fn restart(
    supervisor: Data<Supervisor>,
    name: Path<String>,
    Query(restart): Query<Restart>,
) -> Done {
    supervisor
        .restart(&name, restart.include_tasks, restart.only_failed)
        .await?;
    if !restart.include_tasks && !restart.only_failed {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(HttpResponse::Accepted().json(supervisor.status(&name)?))
}

pub(super) async fn restart_task(
    supervisor: Data<Supervisor>,
    path: Path<(String, usize)>,
) -> Done {
    let (name, task) = path.into_inner();
    supervisor.restart_task(&name, task).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn pause(supervisor: Data<Supervisor>, name: Path<String>) -> Done {
    supervisor.set_target(&name, Target::Paused).await?;
    Ok(HttpResponse::Accepted().finish())
}

pub(super) async fn resume(supervisor: Data<Supervisor>, name: Path<String>) -> Done {
    supervisor.set_target(&name, Target::Running).await?;
    Ok(HttpResponse::Accepted().finish())
}

pub(super) async fn stop(supervisor: Data<Supervisor>, name: Path<String>) -> Done {
    supervisor.set_target(&name, Target::Stopped).await?;
    Ok(HttpResponse::NoContent().finish())
}
