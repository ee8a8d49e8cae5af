use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::App;
use actix_web::dev::Server;
use actix_web::http::Uri;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{Data, ServiceConfig};
use prometheus_client::registry::Registry;
use utoipa::openapi::OpenApi;

use super::auth::{Auth, AuthError};
use super::{Health, metrics, routes, traces};
use crate::settings::HttpSettings;
use crate::traces::Traces;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {problem}; stop what listens there, or set `http.bind`")]
    Bind {
        address: SocketAddr,
        problem: std::io::Error,
    },
    #[error(
        "setting `http.bind`: {0} can be reached by others, and nobody is asked who they are: set `http.auth.hs256_secret` or `http.auth.jwks_file`, or `http.auth.allow_anonymous = true` if that is meant"
    )]
    Open(SocketAddr),
    #[error(
        "setting `http.cors_origins`: `{0}` has not the form `https://host` or `https://host:port`"
    )]
    Origin(String),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// What the common routes need.
pub struct Common {
    pub health: Health,
    pub metrics: Registry,
    pub openapi: OpenApi,
    pub traces: Traces,
}

/// A server that has its port; it answers once it is polled.
pub struct HttpServer {
    pub address: SocketAddr,
    pub server: Server,
    pub(crate) health: Health,
    pub(crate) drain: Duration,
    pub(crate) traces: Traces,
}

/// Binds and configures: the common routes, then the service's own.
pub fn serve<F>(
    settings: &HttpSettings,
    mut common: Common,
    own: F,
) -> Result<HttpServer, ServeError>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let auth = auth(settings)?;
    check_origins(&settings.cors_origins)?;
    let origins = settings.cors_origins.clone();
    let bind_error = |problem| ServeError::Bind {
        address: settings.bind,
        problem,
    };
    common.health.register(&mut common.metrics);
    let http_metrics = metrics::HttpMetrics::register(&mut common.metrics);
    let registry = Arc::new(common.metrics);
    let body_limit = settings.body_limit;
    let (health, spans) = (common.health.clone(), common.traces.clone());
    let server = actix_web::HttpServer::new(move || {
        let openapi = common.openapi.clone();
        App::new()
            .app_data(Data::new(auth.clone()))
            .app_data(Data::new(common.health.clone()))
            .app_data(Data::new(Arc::clone(&registry)))
            .app_data(Data::new(Arc::clone(&http_metrics)))
            .app_data(Data::new(common.traces.clone()))
            .configure(|config| routes::common(config, openapi, body_limit))
            .configure(own.clone())
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .wrap(from_fn(metrics::observe))
            .wrap(Condition::new(
                common.traces.is_on(),
                from_fn(traces::record),
            ))
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
        health,
        drain: Duration::from_secs(settings.drain_s),
        traces: spans,
    })
}

fn auth(settings: &HttpSettings) -> Result<Auth, ServeError> {
    let auth = Auth::new(&settings.auth)?;
    let is_open = !auth.is_on() && !settings.auth.allow_anonymous;
    if is_open && !settings.bind.ip().is_loopback() {
        return Err(ServeError::Open(settings.bind));
    }
    Ok(auth)
}

/// An origin as browsers send it (RFC 6454): without a path, not even `/`.
fn check_origins(origins: &[String]) -> Result<(), ServeError> {
    let is_origin = |text: &str| {
        let host = text.split_once("://").map(|(_, host)| host);
        let parsed = text.parse::<Uri>();
        parsed.is_ok_and(|uri| {
            uri.authority()
                .is_some_and(|found| Some(found.as_str()) == host)
        })
    };
    match origins.iter().find(|origin| !is_origin(origin)) {
        Some(origin) => Err(ServeError::Origin(origin.clone())),
        None => Ok(()),
    }
}

fn cors(origins: &[String]) -> Cors {
    let cors = origins
        .iter()
        .fold(Cors::default(), |cors, origin| cors.allowed_origin(origin));
    cors.allow_any_method()
        .allow_any_header()
        .expose_headers([LOCATION, RETRY_AFTER])
        .max_age(600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_is_served_only_on_purpose() {
        let mut settings = HttpSettings::on_port(8081);
        assert!(auth(&settings).is_ok());
        settings.bind = SocketAddr::from(([0, 0, 0, 0], 8081));
        let error = auth(&settings).err().unwrap().to_string();
        assert!(error.contains("`http.bind`: 0.0.0.0:8081"), "{error}");
        settings.auth.allow_anonymous = true;
        assert!(auth(&settings).is_ok());
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        let check = |origin: &str| check_origins(&[origin.to_owned()]);
        assert!(check("https://shop.example").is_ok());
        assert!(check("http://localhost:3000").is_ok());
        for bad in ["*", "shop.example", "https://shop.example/", "https://", ""] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
