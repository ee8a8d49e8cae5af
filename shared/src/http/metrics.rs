use std::sync::Arc;
use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::Data;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Problem, traces};
use crate::kafka::trace_id;

/// Seconds: from a cached answer to a request that waited.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// RFC 9110's and PATCH. Anybody may invent others, and a series lives as long as the process.
const METHODS: [&str; 9] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone)]
pub(super) struct HttpMetrics {
    requests: Family<Labels, Counter>,
    duration: Family<Labels, Histogram>,
}

impl HttpMetrics {
    pub(super) fn register(registry: &mut Registry) -> Arc<Self> {
        let metrics = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        };
        registry.register(
            "http_requests",
            "Requests answered",
            metrics.requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time from the request's head to its answer",
            metrics.duration.clone(),
        );
        Arc::new(metrics)
    }
}

/// Counts and times every request, and logs the ones that failed on our side.
pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begun = Instant::now();
    let metrics = request.app_data::<Data<Arc<HttpMetrics>>>().cloned();
    let response = next.call(request).await?;
    let request = response.request();
    let status = response.status();
    let route = request
        .match_pattern()
        .unwrap_or_else(|| "unmatched".to_owned());
    if let Some(error) = response.response().error()
        && status.is_server_error()
    {
        let order = error.as_error::<Problem>().and_then(Problem::order);
        let trace_parent = traces::trace_parent_of(request);
        let trace_id = trace_parent.as_deref().map(trace_id);
        tracing::warn!(
            method = %request.method(),
            route,
            status = status.as_u16(),
            // The only `{id}` in a path is an order's.
            order_id = order.map_or(request.match_info().get("id"), |order| Some(&*order.order_id)),
            trace_id = order.map_or(trace_id, |order| Some(&*order.trace_id)),
            %error,
            "request failed"
        );
    }
    if let Some(metrics) = metrics {
        let labels = Labels {
            method: label(request.method()),
            route,
            status: status.as_u16(),
        };
        metrics
            .duration
            .get_or_create(&labels)
            .observe(begun.elapsed().as_secs_f64());
        metrics.requests.get_or_create(&labels).inc();
    }
    Ok(response)
}

fn label(method: &Method) -> &'static str {
    METHODS
        .into_iter()
        .find(|known| method == *known)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    #[actix_web::test]
    async fn methods_that_somebody_invents_share_a_series() {
        let mut registry = Registry::default();
        let metrics = HttpMetrics::register(&mut registry);
        let app = App::new()
            .app_data(Data::new(metrics))
            .wrap(from_fn(observe));
        let app = init_service(app).await;
        for method in ["GET", "AAAA1", "AAAA2"] {
            let method = method.parse().unwrap();
            call_service(&app, TestRequest::default().method(method).to_request()).await;
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for series in [
            r#"{method="GET",route="unmatched",status="404"} 1"#,
            r#"{method="other",route="unmatched",status="404"} 2"#,
        ] {
            assert!(
                text.contains(&format!("http_requests_total{series}")),
                "{text}"
            );
        }
        assert!(!text.contains("AAAA"), "{text}");
    }
}
