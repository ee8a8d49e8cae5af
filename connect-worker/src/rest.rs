//! Kafka Connect's REST API, with Connect's status codes and bodies.

mod body;
mod connectors;
mod dead_letters;
mod error;
mod lifecycle;
mod offsets;
mod plugins;
mod root;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::error::{PathError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::web::{
    self, Data, PathConfig, QueryConfig, ServiceConfig, delete, get, patch, post, put,
};
use actix_web::{Resource, Route};

pub(crate) use body::{CreateConnector, PutConfig};
pub use root::Cluster;

use shared::http::admins_only;
use utoipa::OpenApi;

use crate::supervisor::Supervisor;
use error::{ConnectError, method_not_allowed, not_found};

/// All routes; what is not here is a 404 in Connect's form.
pub fn routes(config: &mut ServiceConfig, supervisor: &Arc<Supervisor>, cluster: &Arc<Cluster>) {
    let bad_path = |_: PathError, _: &_| ConnectError::plain(StatusCode::NOT_FOUND).into();
    let bad_query =
        |error: QueryPayloadError, _: &_| ConnectError::bad_request(error.to_string()).into();
    config
        .app_data(Data::from(Arc::clone(supervisor)))
        .app_data(Data::from(Arc::clone(cluster)))
        .app_data(PathConfig::default().error_handler(bad_path))
        .app_data(QueryConfig::default().error_handler(bad_query))
        .service(resource("/", [get().to(root::root)]))
        .service(resource("/health", [get().to(root::health)]))
        .configure(connector_routes)
        .configure(lifecycle_routes)
        .configure(dead_letter_routes)
        .configure(plugin_routes)
        .default_service(web::route().to(not_found));
}

fn connector_routes(config: &mut ServiceConfig) {
    use connectors::{
        create, forget_topics, info, list, patch_config, put_config, remove, status, task_status,
        tasks, topics,
    };
    config
        .service(resource("/connectors", [get().to(list), post().to(create)]))
        .service(resource(
            "/connectors/{name}",
            [get().to(info), delete().to(remove)],
        ))
        .service(resource(
            "/connectors/{name}/config",
            [
                get().to(connectors::config),
                put().to(put_config),
                patch().to(patch_config),
            ],
        ))
        .service(resource("/connectors/{name}/topics", [get().to(topics)]))
        .service(resource(
            "/connectors/{name}/topics/reset",
            [put().to(forget_topics)],
        ))
        .service(resource(
            "/connectors/{name}/offsets",
            [
                get().to(offsets::show),
                patch().to(offsets::alter),
                delete().to(offsets::reset),
            ],
        ))
        .service(resource("/connectors/{name}/status", [get().to(status)]))
        .service(resource("/connectors/{name}/tasks", [get().to(tasks)]))
        .service(resource(
            "/connectors/{name}/tasks/{task}/status",
            [get().to(task_status)],
        ));
}

fn lifecycle_routes(config: &mut ServiceConfig) {
    use lifecycle::{pause, restart, restart_task, resume, stop};
    config
        .service(resource("/connectors/{name}/restart", [post().to(restart)]))
        .service(resource(
            "/connectors/{name}/tasks/{task}/restart",
            [post().to(restart_task)],
        ))
        .service(resource("/connectors/{name}/pause", [put().to(pause)]))
        .service(resource("/connectors/{name}/resume", [put().to(resume)]))
        .service(resource("/connectors/{name}/stop", [put().to(stop)]));
}

fn dead_letter_routes(config: &mut ServiceConfig) {
    use dead_letters::{list, replay};
    config
        .service(resource(
            "/connectors/{name}/dead-letters",
            [get().to(list)],
        ))
        .service(resource(
            "/connectors/{name}/dead-letters/{partition}/{offset}/replay",
            [post().to(replay)],
        ));
}

/// What Kafka Connect has not; the rest is described where it comes from.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "connect-worker",
        description = "Kafka Connect's REST API, see \
            https://kafka.apache.org/documentation/#connect_rest, and dead letters.",
    ),
    paths(dead_letters::list, dead_letters::replay),
    components(schemas(error::ErrorBody))
)]
struct Api;

/// The document behind `/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

fn plugin_routes(config: &mut ServiceConfig) {
    config
        .service(resource("/connector-plugins", [get().to(plugins::list)]))
        .service(resource(
            "/connector-plugins/{plugin}/config",
            [get().to(plugins::config)],
        ))
        .service(resource(
            "/connector-plugins/{plugin}/config/validate",
            [put().to(plugins::validate)],
        ));
}

/// Who may configure a connector reaches what it reaches: all of it is for admins.
fn resource<const N: usize>(
    path: &str,
    routes: [Route; N],
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<N>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<N>,
> {
    let resource = routes
        .into_iter()
        .fold(web::resource(path), Resource::route);
    resource
        .default_service(web::route().to(method_not_allowed))
        .wrap(from_fn(admins_only))
}
