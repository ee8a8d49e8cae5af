//! Metrics that are looked up when somebody asks for them, so that nothing has to keep them true.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// A gauge that is what a function says.
pub struct Live(Box<dyn Fn() -> f64 + Send + Sync>);

impl Live {
    pub fn new(now: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Box::new(now))
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

impl EncodeMetric for Live {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&(self.0)())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}
