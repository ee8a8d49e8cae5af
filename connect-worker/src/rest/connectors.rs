use std::collections::{BTreeMap, BTreeSet};

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{self, Data, Path, Query};
use serde_json::{Map, Value, json};

use super::body::{CreateConnector, Json, PatchConfig, PutConfig};
use super::error::ConnectError;
use super::lifecycle::to_its_end;
use crate::env::Properties;
use crate::supervisor::status::{ConnectorInfo, ConnectorStatus, TaskInfo, TaskReport};
use crate::supervisor::{Supervisor, SupervisorError};

type Answer<T> = Result<web::Json<T>, ConnectError>;

/// The names, or with `?expand=status&expand=info` what is asked of each.
pub(super) async fn list(
    supervisor: Data<Supervisor>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer<Value> {
    let expands = query.iter().filter(|(key, _)| key == "expand");
    let expands: BTreeSet<_> = expands.map(|(_, what)| what.as_str()).collect();
    let names = supervisor.names()?;
    if expands.is_empty() {
        return Ok(web::Json(json!(names)));
    }
    let mut connectors = BTreeMap::new();
    for name in names {
        match expanded(&supervisor, &name, &expands) {
            Ok(parts) => {
                connectors.insert(name, parts);
            }
            // Deleted meanwhile.
            Err(SupervisorError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(web::Json(json!(connectors)))
}

fn expanded(
    supervisor: &Supervisor,
    name: &str,
    expands: &BTreeSet<&str>,
) -> Result<Map<String, Value>, SupervisorError> {
    let mut parts = Map::new();
    if expands.contains("status") {
        parts.insert("status".to_owned(), json!(supervisor.status(name)?));
    }
    if expands.contains("info") {
        parts.insert("info".to_owned(), json!(supervisor.info(name)?));
    }
    Ok(parts)
}

pub(super) async fn create(
    supervisor: Data<Supervisor>,
    Json(request): Json<CreateConnector>,
) -> Result<HttpResponse, ConnectError> {
    let name = request.name.trim();
    let info = supervisor
        .create(name, request.config, request.initial_state)
        .await?;
    Ok(created(&info))
}

fn created(info: &ConnectorInfo) -> HttpResponse {
    let location = format!("/connectors/{}", info.name);
    HttpResponse::Created()
        .insert_header((LOCATION, location))
        .json(info)
}

pub(super) async fn info(
    supervisor: Data<Supervisor>,
    name: Path<String>,
) -> Answer<ConnectorInfo> {
    Ok(web::Json(supervisor.info(&name)?))
}

pub(super) async fn config(supervisor: Data<Supervisor>, name: Path<String>) -> Answer<Properties> {
    Ok(web::Json(supervisor.config(&name)?))
}

pub(super) async fn put_config(
    supervisor: Data<Supervisor>,
    name: Path<String>,
    Json(request): Json<PutConfig>,
) -> Result<HttpResponse, ConnectError> {
    let put = async move { supervisor.put(&name, request.config).await };
    let (info, is_new) = to_its_end(put).await?;
    Ok(if is_new {
        created(&info)
    } else {
        HttpResponse::Ok().json(info)
    })
}

pub(super) async fn patch_config(
    supervisor: Data<Supervisor>,
    name: Path<String>,
    Json(request): Json<PatchConfig>,
) -> Answer<ConnectorInfo> {
    let patch = async move { supervisor.patch(&name, request.changes).await };
    Ok(web::Json(to_its_end(patch).await?))
}

pub(super) async fn remove(
    supervisor: Data<Supervisor>,
    name: Path<String>,
) -> Result<HttpResponse, ConnectError> {
    to_its_end(async move { supervisor.delete(&name).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn status(
    supervisor: Data<Supervisor>,
    name: Path<String>,
) -> Answer<ConnectorStatus> {
    Ok(web::Json(supervisor.status(&name)?))
}

pub(super) async fn tasks(
    supervisor: Data<Supervisor>,
    name: Path<String>,
) -> Answer<Vec<TaskInfo>> {
    Ok(web::Json(supervisor.tasks(&name)?))
}

pub(super) async fn task_status(
    supervisor: Data<Supervisor>,
    path: Path<(String, usize)>,
) -> Answer<TaskReport> {
    let (name, task) = path.into_inner();
    Ok(web::Json(supervisor.task_status(&name, task)?))
}

pub(super) async fn topics(supervisor: Data<Supervisor>, name: Path<String>) -> web::Json<Value> {
    web::Json(json!({name.as_str(): {"topics": supervisor.topics(&name)}}))
}

pub(super) async fn forget_topics(
    supervisor: Data<Supervisor>,
    name: Path<String>,
) -> HttpResponse {
    supervisor.forget_topics(&name);
    HttpResponse::Accepted().finish()
}
