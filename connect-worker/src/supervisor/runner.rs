use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::Environment;
use crate::config::{ConnectorConfig, SinkConfig};
use crate::sink::{Step, Task, TaskError, TaskId};
use crate::source;

/// A transaction is given this long to end; then its connection is dropped, and with it
/// the transaction.
const GRACE: Duration = Duration::from_secs(10);

/// A task at work.
pub(super) struct Runner {
    stop: CancellationToken,
    /// Set once the task has failed.
    trace: Arc<Mutex<Option<String>>>,
    ended: JoinHandle<()>,
}

impl Runner {
    pub(super) fn start(environment: &Environment, id: TaskId, config: ConnectorConfig) -> Self {
        let stop = CancellationToken::new();
        let trace = Arc::new(Mutex::new(None));
        let surroundings = environment.clone();
        let ended = environment.runtime.spawn({
            let (stop, trace) = (stop.clone(), Arc::clone(&trace));
            async move {
                let span = tracing::info_span!("task", id = %id);
                let outcome = drive(&id, config, &surroundings, &stop).instrument(span);
                let failure = match AssertUnwindSafe(outcome).catch_unwind().await {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => error.trace(),
                    Err(_) => "the task panicked; its message is in the log".to_owned(),
                };
                tracing::error!(task = %id, trace = failure, "task failed");
                *trace.lock() = Some(failure);
            }
        });
        Self { stop, trace, ended }
    }

    pub(super) fn trace(&self) -> Option<String> {
        self.trace.lock().clone()
    }

    pub(super) fn tell_to_stop(&self) {
        self.stop.cancel();
    }

    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(GRACE, &mut self.ended).await.is_err() {
            tracing::warn!("a task did not end in time");
            self.ended.abort();
        }
    }
}

async fn drive(
    id: &TaskId,
    config: ConnectorConfig,
    environment: &Environment,
    stop: &CancellationToken,
) -> Result<(), TaskError> {
    match config {
        ConnectorConfig::Sink(config) => drive_sink(id, config, environment, stop).await,
        ConnectorConfig::Source(config) => {
            let Environment {
                kafka,
                offsets,
                topics,
                ..
            } = environment.clone();
            let task = source::Task::new(id.clone(), config, &kafka, offsets, topics).await?;
            task.run(stop).await
        }
    }
}

async fn drive_sink(
    id: &TaskId,
    config: SinkConfig,
    environment: &Environment,
    stop: &CancellationToken,
) -> Result<(), TaskError> {
    let Environment {
        kafka,
        metrics,
        traces,
        ..
    } = environment;
    let mut task = Task::new(id.clone(), config, kafka, metrics, traces).await?;
    let ended = loop {
        match task.step(stop).await {
            Ok(Step::Wrote(_)) => environment.topics.add(&id.connector, task.take_consumed()),
            Ok(Step::Waited) => {}
            Ok(Step::Stopped) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    task.close().await;
    ended
}
