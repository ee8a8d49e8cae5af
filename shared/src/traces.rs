//! Spans of orders, exported by OTLP as the standard `OTEL_*` variables say. Without them none
//! is made, and an order's `traceparent` is merely passed on.
//!
//! An order has one trace, from its request to its rows. Where orders join, in a transaction or
//! in statements, the batch has a span in a trace of its own, which links to theirs. Names and
//! attributes are those of OpenTelemetry's semantic conventions for HTTP and messaging.

mod exporter;
mod settings;

use std::fmt::Display;
use std::time::Duration;

use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _,
    TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use rdkafka::message::{Headers, Message};

pub use settings::TracesError;

use crate::kafka::received_trace;

/// How long a stop waits for a collector to take what it has not had yet.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// A service's way to record spans. `default()` records none.
#[derive(Clone, Default)]
pub struct Traces(Option<Recorder>);

#[derive(Clone)]
struct Recorder {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// What happens to one order, or to a batch of them. It ends when it is dropped.
pub struct Span(Box<opentelemetry_sdk::trace::Span>);

impl Traces {
    /// As the environment says; a variable that asks for what is not built in is an error.
    /// `service` is the name that `OTEL_SERVICE_NAME` may replace.
    pub fn from_env(service: &'static str) -> Result<Self, TracesError> {
        let variable = |name: &str| std::env::var(name).ok();
        match settings::is_on(variable)? {
            true => Ok(Self(Some(exporter::start(service)?))),
            false => Ok(Self::default()),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A request, as part of the caller's trace or of a new one. Also one that is not sampled
    /// has its place in the trace: `None` only where nothing is exported.
    pub(crate) fn request(
        &self,
        name: String,
        trace_parent: Option<&str>,
        attributes: Vec<KeyValue>,
    ) -> Option<Span> {
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes);
        let caller = trace_parent.map(|text| context(text, true));
        Some(self.0.as_ref()?.start(span, caller))
    }

    /// The writing of a record, which carries this span's `traceparent` on. `None` where the
    /// order is not sampled: then its record carries what came. `trace_parent` is of a span of
    /// this service.
    pub fn produce(&self, topic: &str, trace_parent: &str) -> Option<Span> {
        let recorder = self.0.as_ref()?;
        let span = SpanBuilder::from_name(format!("create {topic}"))
            .with_kind(SpanKind::Producer)
            .with_attributes(messaging("create", topic));
        recorder.start_sampled(span, context(trace_parent, false))
    }

    /// The handling of each record, in its order's trace; `None` for those that are not sampled.
    /// Empty where nothing is exported.
    pub fn consume<M: Message>(&self, records: &[M]) -> Vec<Option<Span>> {
        let Some(recorder) = &self.0 else {
            return Vec::new();
        };
        records
            .iter()
            .map(|record| recorder.consume(record))
            .collect()
    }

    /// What is done for `records` at once, with a link to each of the spans of those that are
    /// sampled; `None` where there is none.
    pub fn batch(
        &self,
        name: &'static str,
        records: usize,
        spans: impl Iterator<Item = SpanContext>,
    ) -> Option<Span> {
        let recorder = self.0.as_ref()?;
        let links: Vec<_> = spans.map(Link::with_context).collect();
        if links.is_empty() {
            return None;
        }
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Client)
            .with_attributes([KeyValue::new("messaging.batch.message_count", records)])
            .with_links(links);
        Some(recorder.start(span, None))
    }

    /// Sends what is recorded, if the collector takes it in time, and records nothing more.
    pub(crate) async fn end(self) {
        let Some(Recorder { provider, .. }) = self.0 else {
            return;
        };
        let end = move || provider.shutdown_with_timeout(LAST_EXPORT);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(end).await {
            tracing::debug!(%error, "the last spans are not exported");
        }
    }
}

impl Recorder {
    fn start(&self, span: SpanBuilder, parent: Option<SpanContext>) -> Span {
        let around = Context::new();
        let around = match parent {
            Some(parent) => around.with_remote_span_context(parent),
            None => around,
        };
        Span(Box::new(self.tracer.build_with_context(span, &around)))
    }

    fn start_sampled(&self, span: SpanBuilder, parent: SpanContext) -> Option<Span> {
        if !parent.is_sampled() {
            return None;
        }
        Some(self.start(span, Some(parent))).filter(|span| span.0.is_recording())
    }

    fn consume(&self, record: &impl Message) -> Option<Span> {
        let parent = sampled(record.headers()?)?;
        let topic = record.topic();
        let mut attributes = messaging("process", topic);
        attributes.extend([
            KeyValue::new(
                "messaging.destination.partition.id",
                record.partition().to_string(),
            ),
            KeyValue::new("messaging.kafka.offset", record.offset()),
        ]);
        if let Some(key) = record.key().and_then(|key| std::str::from_utf8(key).ok()) {
            attributes.push(KeyValue::new("messaging.kafka.message.key", key.to_owned()));
        }
        let span = SpanBuilder::from_name(format!("process {topic}"))
            .with_kind(SpanKind::Consumer)
            .with_attributes(attributes);
        self.start_sampled(span, parent)
    }
}

impl Span {
    /// What a record or a request carries on: this span is the parent of what follows.
    pub fn trace_parent(&self) -> String {
        let context = self.0.span_context();
        let (trace, span) = (context.trace_id(), context.span_id());
        format!("00-{trace}-{span}-{:02x}", context.trace_flags())
    }

    /// For a batch to link to.
    pub fn context(&self) -> SpanContext {
        self.0.span_context().clone()
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    pub fn fail(&mut self, why: impl Display) {
        self.0.set_status(Status::error(why.to_string()));
    }
}

/// Ends a span with what became of it.
pub fn end<T, E: Display>(span: Option<Span>, result: &Result<T, E>) {
    if let (Some(mut span), Err(error)) = (span, result) {
        span.fail(error);
    }
}

/// The place in its trace that a record came with, where that is sampled.
fn sampled(headers: &impl Headers) -> Option<SpanContext> {
    sampled_at(received_trace(headers)?)
}

/// The place in its trace that a well-formed `traceparent` names, where that is sampled.
pub fn sampled_at(trace_parent: &str) -> Option<SpanContext> {
    Some(context(trace_parent, true)).filter(SpanContext::is_sampled)
}

/// Of a well-formed `traceparent`; anything else has no place in a trace.
fn context(trace_parent: &str, is_remote: bool) -> SpanContext {
    let mut parts = trace_parent.split('-').skip(1);
    let mut next = || parts.next().unwrap_or_default();
    let trace = TraceId::from_hex(next()).unwrap_or(TraceId::INVALID);
    let span = SpanId::from_hex(next()).unwrap_or(SpanId::INVALID);
    let flags = u8::from_str_radix(next(), 16).unwrap_or_default();
    let flags = TraceFlags::new(flags);
    SpanContext::new(trace, span, flags, is_remote, TraceState::default())
}

fn messaging(operation: &'static str, topic: &str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.destination.name", topic.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_place_in_a_trace_is_read_as_it_is_written() {
        let place = context(TRACE, true);
        assert!(place.is_valid() && place.is_sampled() && place.is_remote());
        assert_eq!(
            place.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(place.span_id().to_string(), "00f067aa0ba902b7");
        assert!(!context(&TRACE.replace("-01", "-00"), true).is_sampled());
        assert!(!context("none", true).is_valid());
    }

    #[test]
    fn nothing_is_recorded_where_nothing_is_exported() {
        let traces = Traces::default();
        assert!(traces.request("GET".to_owned(), None, Vec::new()).is_none());
        assert!(traces.produce("orders", TRACE).is_none());
        let links = std::iter::once_with(|| unreachable!("no link is made"));
        assert!(traces.batch("send orders", 1, links).is_none());
    }
}
