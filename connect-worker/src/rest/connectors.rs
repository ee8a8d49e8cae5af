use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{self, Data, Path, Query};
use serde_json::{Value, json};

use super::body::{CreateConnector, Json, PutConfig};
use super::error::ConnectError;
use super::lifecycle::to_its_end;
use crate::env::Properties;
use crate::supervisor::Supervisor;
use crate::supervisor::status::{ConnectorInfo, ConnectorStatus, TaskInfo, TaskReport};

type Answer<T> = Result<web::Json<T>, ConnectError>;

/// The names, or with `?expand=status&expand=info` what is asked of each.
pub(super) async fn list(
    supervisor: Data<Supervisor>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer<Value> {
    let asks = |what: &str| {
        query
            .iter()
            .any(|(key, value)| key == "expand" && value == what)
    };
    let names = supervisor.names()?;
    if !asks("status") && !asks("info") {
        return Ok(web::Json(json!(names)));
    }
    let mut connectors = BTreeMap::new();
    for name in names {
        let mut parts = serde_json::Map::new();
        if asks("status") {
            parts.insert("status".to_owned(), json!(supervisor.status(&name)?));
        }
        if asks("info") {
            parts.insert("info".to_owned(), json!(supervisor.info(&name)?));
        }
        connectors.insert(name, parts);
    }
    Ok(web::Json(json!(connectors)))
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

pub(super) async fn delete(
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
