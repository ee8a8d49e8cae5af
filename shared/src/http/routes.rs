use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};
use prometheus_client::registry::Registry;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use super::{FieldError, Health, Problem};

/// The longest that a client may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What every service answers: health, metrics, its API's description, and problems.
pub(super) fn common(config: &mut ServiceConfig, openapi: OpenApi, body_limit: usize) {
    config
        .app_data(web::PayloadConfig::new(body_limit))
        .app_data(
            web::PathConfig::default()
                .error_handler(|error, _| Problem::malformed(format!("the path: {error}")).into()),
        )
        .app_data(
            web::QueryConfig::default()
                .error_handler(|error, _| Problem::malformed(format!("the query: {error}")).into()),
        )
        .service(read_only("/livez", web::get().to(livez)))
        .service(read_only("/readyz", web::get().to(readyz)))
        .service(read_only("/metrics", web::get().to(metrics)))
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", openapi))
        .default_service(web::route().to(not_found));
}

fn read_only(path: &str, get: Route) -> Resource {
    web::resource(path)
        .route(get)
        .default_service(method_not_allowed("GET"))
}

/// For `resource(…).default_service(…)`: 405 with the methods that the resource has.
pub fn method_not_allowed(allow: &'static str) -> Route {
    web::route()
        .to(move || async move { Err::<HttpResponse, _>(Problem::method_not_allowed(allow)) })
}

async fn not_found(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found(format!(
        "there is nothing at {}; see /docs",
        request.path()
    )))
}

async fn livez() -> &'static str {
    "alive"
}

async fn readyz(health: Data<Health>) -> HttpResponse {
    let (ready, report) = health.report();
    match ready {
        true => HttpResponse::Ok().json(report),
        false => HttpResponse::ServiceUnavailable().json(report),
    }
}

async fn metrics(registry: Data<Arc<Registry>>) -> HttpResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => HttpResponse::Ok()
            .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
            .body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// The `Idempotency-Key` header: 1 to 255 visible ASCII characters.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, FieldError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    if (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(Some(String::from_utf8_lossy(bytes).into_owned()));
    }
    Err(FieldError::new(
        "Idempotency-Key",
        "must be 1 to 255 visible ASCII characters",
    ))
}

/// The wait that a client asks for by `Prefer: wait=N` (RFC 7240), in seconds, 30 at
/// most. Other preferences are ignored, as the RFC says.
pub fn prefer_wait(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    for header in headers.get_all("prefer") {
        let text = header.to_str().unwrap_or("");
        for preference in text.split(',') {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            if !name.trim().eq_ignore_ascii_case("wait") {
                continue;
            }
            let value = value.trim().trim_matches('"');
            let seconds: u32 = value.parse().map_err(|_| {
                Problem::malformed(format!(
                    "header Prefer: `wait={value}` is not a whole number of seconds"
                ))
            })?;
            return Ok(Some(Duration::from_secs(seconds.into()).min(LONGEST_WAIT)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
        headers
    }

    #[test]
    fn the_wait_is_found_among_other_preferences_and_capped() {
        let wait = |text| prefer_wait(&headers("prefer", text));
        assert_eq!(
            wait("respond-async, Wait=5").unwrap(),
            Some(Duration::from_secs(5))
        );
        assert_eq!(wait("wait=600").unwrap(), Some(LONGEST_WAIT));
        assert_eq!(wait("return=minimal").unwrap(), None);
        for bad in ["wait=abc", "wait=-1", "wait=", "wait", "wait=1.5"] {
            assert!(wait(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        let key = |text: &str| idempotency_key(&headers("idempotency-key", text));
        assert_eq!(key("a").unwrap().as_deref(), Some("a"));
        assert!(key(&"k".repeat(255)).is_ok());
        for bad in ["", "with space", &"k".repeat(256), "\u{e9}"] {
            assert!(key(bad).is_err(), "{bad}");
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }
}
