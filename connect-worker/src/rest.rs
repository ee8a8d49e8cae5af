//! Kafka Connect's REST API, with Connect's status codes and bodies.

mod body;
mod connectors;
mod error;
mod lifecycle;
mod root;

use std::sync::Arc;

use actix_web::web::{self, Data, PathConfig, QueryConfig, ServiceConfig};
use actix_web::{Resource, Route};

pub use root::Cluster;

use crate::supervisor::Supervisor;
use error::{ConnectError, method_not_allowed, not_found};

/// The body of every error.
pub use error::ErrorBody;

/// All routes; what is not here is a 404 in Connect's form.
pub fn routes(config: &mut ServiceConfig, supervisor: &Arc<Supervisor>, cluster: &Arc<Cluster>) {
    let bad_path = |error: actix_web::error::PathError, _: &_| {
        ConnectError::bad_request(error.to_string()).into()
    };
    let bad_query = |error: actix_web::error::QueryPayloadError, _: &_| {
        ConnectError::bad_request(error.to_string()).into()
    };
    config
        .app_data(Data::from(Arc::clone(supervisor)))
        .app_data(Data::from(Arc::clone(cluster)))
        .app_data(PathConfig::default().error_handler(bad_path))
        .app_data(QueryConfig::default().error_handler(bad_query))
        .service(resource("/", [web::get().to(root::root)]))
        .service(resource(
            "/connectors",
            [web::get().to(connectors::list), web::post().to(connectors::create)],
        ))
        .service(resource(
            "/connectors/{name}",
            [web::get().to(connectors::info), web::delete().to(connectors::delete)],
        ))
        .service(resource(
            "/connectors/{name}/config",
            [web::get().to(connectors::config), web::put().to(connectors::put_config)],
        ))
        .service(resource("/connectors/{name}/status", [web::get().to(connectors::status)]))
        .service(resource("/connectors/{name}/tasks", [web::get().to(connectors::tasks)]))
        .service(resource(
            "/connectors/{name}/tasks/{task}/status",
            [web::get().to(connectors::task_status)],
        ))
        .service(resource(
            "/connectors/{name}/tasks/{task}/restart",
            [web::post().to(lifecycle::restart_task)],
        ))
        .service(resource("/connectors/{name}/restart", [web::post().to(lifecycle::restart)]))
        .service(resource("/connectors/{name}/pause", [web::put().to(lifecycle::pause)]))
        .service(resource("/connectors/{name}/resume", [web::put().to(lifecycle::resume)]))
        .service(resource("/connectors/{name}/stop", [web::put().to(lifecycle::stop)]))
        .default_service(web::route().to(not_found));
}

fn resource<const N: usize>(path: &str, routes: [Route; N]) -> Resource {
    let resource = routes.into_iter().fold(web::resource(path), Resource::route);
    resource.default_service(web::route().to(method_not_allowed))
}
