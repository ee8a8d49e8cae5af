use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::error::ErrorBadRequest;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1;
use prost::Message;

/// Takes spans as OTLP over HTTP, in protobuf.
pub(super) struct Collector {
    pub(super) endpoint: String,
    received: Data<Received>,
    server: ServerHandle,
}

#[derive(Default)]
struct Received {
    requests: AtomicUsize,
    spans: Mutex<Vec<Arc<Span>>>,
}

/// A span as it was sent, its ids in hexadecimal.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) kind: v1::span::SpanKind,
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    /// Trace and span of each.
    pub(super) links: Vec<(String, String)>,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Collector {
    pub(super) fn start() -> anyhow::Result<Self> {
        let received = Data::<Received>::default();
        let theirs = received.clone();
        let server = HttpServer::new(move || {
            let spans = web::post().to(take);
            App::new()
                .app_data(theirs.clone())
                .route("/v1/traces", spans)
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))?;
        let address = *server.addrs().first().context("no address")?;
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self {
            endpoint: format!("http://{address}"),
            received,
            server: handle,
        })
    }

    pub(super) fn requests(&self) -> usize {
        self.received.requests.load(Ordering::Relaxed)
    }

    pub(super) fn spans(&self) -> Vec<Arc<Span>> {
        let spans = self.received.spans.lock();
        spans.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn take(received: Data<Received>, body: Bytes) -> actix_web::Result<HttpResponse> {
    received.requests.fetch_add(1, Ordering::Relaxed);
    let request = ExportTraceServiceRequest::decode(body).map_err(ErrorBadRequest)?;
    let mut spans = received
        .spans
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap_or_default();
        let service = attributes(resource.attributes)
            .remove("service.name")
            .unwrap_or_default();
        let of_scopes = of_resource.scope_spans.into_iter();
        let sent = of_scopes.flat_map(|of_scope| of_scope.spans);
        spans.extend(sent.map(|sent| Arc::new(span(service.clone(), sent))));
    }
    Ok(HttpResponse::Ok().finish())
}

fn span(service: String, sent: v1::Span) -> Span {
    let links = sent.links.iter();
    Span {
        service,
        kind: sent.kind(),
        trace: hex(&sent.trace_id),
        id: hex(&sent.span_id),
        parent: hex(&sent.parent_span_id),
        links: links
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        attributes: attributes(sent.attributes),
        name: sent.name,
    }
}

fn attributes(sent: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    sent.into_iter()
        .map(|pair| (pair.key, text(pair.value)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
