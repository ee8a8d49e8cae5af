use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use prometheus_client::registry::Registry;
use utoipa::openapi::OpenApi;

use super::{Health, metrics, routes};
use crate::settings::HttpSettings;

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {problem}; stop what listens there, or set `http.bind`")]
pub struct BindError {
    address: SocketAddr,
    problem: std::io::Error,
}

/// What the common routes need.
pub struct Common {
    pub health: Health,
    pub metrics: Registry,
    pub openapi: OpenApi,
}

/// A server that has its port; it answers once it is polled.
pub struct HttpServer {
    pub address: SocketAddr,
    pub server: Server,
}

/// Binds and configures: the common routes, then the service's own, which win.
pub fn serve<F>(
    settings: &HttpSettings,
    mut common: Common,
    own: F,
) -> Result<HttpServer, BindError>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let bind_error = |problem| BindError {
        address: settings.bind,
        problem,
    };
    let http_metrics = metrics::HttpMetrics::register(&mut common.metrics);
    let registry = Arc::new(common.metrics);
    let body_limit = settings.body_limit;
    let server = actix_web::HttpServer::new(move || {
        let openapi = common.openapi.clone();
        App::new()
            .app_data(Data::new(common.health.clone()))
            .app_data(Data::new(Arc::clone(&registry)))
            .app_data(Data::new(Arc::clone(&http_metrics)))
            .configure(|config| routes::common(config, openapi, body_limit))
            .configure(own.clone())
            .wrap(from_fn(metrics::observe))
    })
    .workers(settings.workers)
    .client_request_timeout(Duration::from_secs(10))
    .shutdown_timeout(settings.shutdown_timeout_s)
    .disable_signals()
    .bind(settings.bind)
    .map_err(bind_error)?;
    let address = server.addrs().first().copied().unwrap_or(settings.bind);
    Ok(HttpServer {
        address,
        server: server.run(),
    })
}
