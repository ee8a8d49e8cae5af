use prometheus_client::metrics::gauge::Gauge;
use shared::kafka::DeadLetterTopic;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Environment;
use crate::sink::SinkMetrics;

/// Counts a connector's dead letters that nobody has put back, for as long as it lives.
pub(super) struct LetterCount {
    connector: String,
    waiting: Gauge,
    metrics: SinkMetrics,
    _stop: DropGuard,
}

impl LetterCount {
    pub(super) fn start(
        environment: &Environment,
        connector: &str,
        topic: DeadLetterTopic,
    ) -> Self {
        let stop = CancellationToken::new();
        let waiting = environment.metrics.waiting(connector);
        let (gauge, signal) = (waiting.clone(), stop.clone());
        environment
            .runtime
            .spawn(async move { topic.watch(&gauge, &signal).await });
        Self {
            connector: connector.to_owned(),
            waiting,
            metrics: environment.metrics.clone(),
            _stop: stop.drop_guard(),
        }
    }

    pub(super) fn waiting(&self) -> i64 {
        self.waiting.get()
    }
}

impl Drop for LetterCount {
    /// What still counts for a moment does so for nobody.
    fn drop(&mut self) {
        self.metrics.forget_waiting(&self.connector);
    }
}
