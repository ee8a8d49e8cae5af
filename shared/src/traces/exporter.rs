use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{Link, SpanKind, TraceId, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    Config, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanData,
    SpanExporter,
};

use super::{Recorder, TracesError};

/// Exports in the background, from a bounded queue: what does not fit is left out.
pub(super) fn start(service: &'static str) -> Result<Recorder, TracesError> {
    let exporter = Outspoken {
        exporter: OtlpExporter::builder().with_http().build()?,
        fails: AtomicBool::new(false),
    };
    let mut provider = SdkTracerProvider::builder()
        .with_sampler(WithBatches(Config::default().sampler))
        .with_batch_exporter(exporter)
        .with_resource(resource(service));
    // By default 128; a batch may be larger, and is bounded itself.
    if variable("OTEL_SPAN_LINK_COUNT_LIMIT").is_none() {
        provider = provider.with_max_links_per_span(u32::MAX);
    }
    let provider = provider.build();
    Ok(Recorder {
        tracer: provider.tracer(service),
        provider,
    })
}

/// What the environment says of this process wins.
fn resource(service: &'static str) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match variable("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The sampler that `OTEL_TRACES_SAMPLER` names, for orders. A batch's span is made only if it
/// links to sampled orders, and is sampled with them.
#[derive(Debug, Clone)]
struct WithBatches(Box<dyn ShouldSample>);

impl ShouldSample for WithBatches {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        if links.is_empty() {
            let orders = &self.0;
            return orders.should_sample(
                parent_context,
                trace_id,
                name,
                span_kind,
                attributes,
                links,
            );
        }
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: Default::default(),
        }
    }
}

/// Says once that a collector is away, and once that it is back; the library would say every
/// time that it is.
#[derive(Debug)]
struct Outspoken {
    exporter: OtlpExporter,
    fails: AtomicBool,
}

impl SpanExporter for Outspoken {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        let failed = self.fails.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !failed => {
                tracing::warn!(%error, "spans are not exported and are lost until they are");
            }
            Ok(()) if failed => tracing::info!("spans are exported again"),
            _ => {}
        }
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
