use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use opentelemetry::KeyValue;

use crate::kafka::is_trace_parent;
use crate::traces::{Span, Traces};

/// The `traceparent` of a request's own span.
struct Current(String);

/// The `traceparent` that goes on from a request: of its span where it has one, else the caller's
/// if that is well formed.
pub fn trace_parent_of(request: &HttpRequest) -> Option<String> {
    if let Some(Current(own)) = request.extensions().get() {
        return Some(own.clone());
    }
    callers(request).map(str::to_owned)
}

fn callers(request: &HttpRequest) -> Option<&str> {
    let text = request.headers().get("traceparent")?.to_str().ok()?;
    is_trace_parent(text).then_some(text)
}

/// Records requests: those that may change something, and others of callers who trace. Probes
/// and scrapes are neither.
pub(super) async fn record(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut span = begin(request.request());
    if let Some(span) = &span {
        let current = Current(span.trace_parent());
        request.extensions_mut().insert(current);
    }
    let response = next.call(request).await?;
    if let Some(span) = &mut span {
        conclude(span, response.status());
    }
    Ok(response)
}

fn begin(request: &HttpRequest) -> Option<Span> {
    let caller = callers(request);
    if request.method().is_safe() && caller.is_none() {
        return None;
    }
    let mut name = request.method().to_string();
    let mut attributes = vec![
        KeyValue::new("http.request.method", name.clone()),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("url.path", request.path().to_owned()),
    ];
    if let Some(route) = request.match_pattern() {
        name = format!("{name} {route}");
        attributes.push(KeyValue::new("http.route", route));
    }
    let traces = request.app_data::<Data<Traces>>()?;
    traces.request(name, caller, attributes)
}

fn conclude(span: &mut Span, status: StatusCode) {
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set("error.type", status.as_str().to_owned());
        span.fail(status);
    }
}
