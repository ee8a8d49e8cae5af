use std::future::Future;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::Deserialize;

use super::error::ConnectError;
use crate::supervisor::{Supervisor, SupervisorError, Target};

type Done = Result<HttpResponse, ConnectError>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Restart {
    include_tasks: bool,
    only_failed: bool,
}

/// A change goes on when its client has gone: half of one would be neither the old state
/// nor the new.
pub(super) async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = T> + Send + 'static,
) -> T {
    match tokio::spawn(change).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// As in Connect: 204 without parameters, else 202 and what is restarted.
pub(super) async fn restart(
    supervisor: Data<Supervisor>,
    name: Path<String>,
    Query(restart): Query<Restart>,
) -> Done {
    let Restart {
        include_tasks,
        only_failed,
    } = restart;
    let restart = async move { supervisor.restart(&name, include_tasks, only_failed).await };
    let status = to_its_end(restart).await?;
    if !include_tasks && !only_failed {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(HttpResponse::Accepted().json(status))
}

pub(super) async fn restart_task(
    supervisor: Data<Supervisor>,
    path: Path<(String, usize)>,
) -> Done {
    let (name, task) = path.into_inner();
    to_its_end(async move { supervisor.restart_task(&name, task).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn pause(supervisor: Data<Supervisor>, name: Path<String>) -> Done {
    set_target(supervisor, name, Target::Paused).await?;
    Ok(HttpResponse::Accepted().finish())
}

pub(super) async fn resume(supervisor: Data<Supervisor>, name: Path<String>) -> Done {
    set_target(supervisor, name, Target::Running).await?;
    Ok(HttpResponse::Accepted().finish())
}

pub(super) async fn stop(supervisor: Data<Supervisor>, name: Path<String>) -> Done {
    set_target(supervisor, name, Target::Stopped).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn set_target(
    supervisor: Data<Supervisor>,
    name: Path<String>,
    target: Target,
) -> Result<(), SupervisorError> {
    to_its_end(async move { supervisor.set_target(&name, target).await }).await
}
