use actix_web::web::{self, Data, Path, Query};
use serde::{Deserialize, Serialize};

use super::body::{Json, PutConfig};
use super::error::ConnectError;
use crate::config::{Class, Definition, Plugin, PluginKind, definitions};
use crate::supervisor::{ConfigInfos, Supervisor};

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Filter {
    connectors_only: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            connectors_only: true,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct PluginInfo {
    class: &'static str,
    #[serde(rename = "type")]
    kind: PluginKind,
    version: &'static str,
}

pub(super) async fn list(Query(filter): Query<Filter>) -> web::Json<Vec<PluginInfo>> {
    let plugins = Plugin::all().filter(|plugin| {
        !filter.connectors_only || matches!(plugin.kind, PluginKind::Sink | PluginKind::Source)
    });
    let info = |plugin: Plugin| PluginInfo {
        class: plugin.class,
        kind: plugin.kind,
        version: env!("CARGO_PKG_VERSION"),
    };
    web::Json(plugins.map(info).collect())
}

/// The keys of a connector's configuration.
pub(super) async fn config(
    plugin: Path<String>,
) -> Result<web::Json<Vec<Definition>>, ConnectError> {
    match Class::named(&plugin) {
        Some(class) => Ok(web::Json(definitions(class))),
        None => Err(ConnectError::not_found(format!("Unknown plugin {plugin}."))),
    }
}

pub(super) async fn validate(
    supervisor: Data<Supervisor>,
    plugin: Path<String>,
    Json(request): Json<PutConfig>,
) -> Result<web::Json<ConfigInfos>, ConnectError> {
    let included = request.config.get("connector.class");
    if let Some(included) = included.filter(|class| !same_type(class, &plugin)) {
        return Err(ConnectError::bad_request(format!(
            "Included connector type {included} does not match request type {plugin}"
        )));
    }
    Ok(web::Json(supervisor.validate(&request.config)?))
}

/// A class may be called by its last name, with or without `Connector`.
fn same_type(class: &str, called: &str) -> bool {
    let short = |name: &str| match name.strip_suffix("Connector") {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => name.to_owned(),
    };
    short(class).ends_with(&short(called))
}
