//! The one writer: a bounded queue in front of a thread that owns the transactional producers
//! and group-commits.
//!
//! While a transaction commits, waiting orders gather; together they begin the next one, and who
//! comes back in time joins it: the batching clocks itself.

mod job;
mod queue;
mod session;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use shared::http::Dependency;
use shared::metrics::Live;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

use crate::metrics::PublishMetrics;
use job::Job;
pub(crate) use job::Publication;
pub(crate) use session::SessionSettings;
pub(crate) use worker::Worker;

/// Why an order was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PublishError {
    /// Nothing was sent, and nothing will be.
    #[error("too many orders are waiting for the broker")]
    QueueFull,
    /// Nothing was sent, and nothing will be.
    #[error("the broker did not take the order in time")]
    NotSent,
    /// It was sent, and may or may not be committed.
    #[error("the broker did not confirm the order in time")]
    OutcomeUnknown,
}

/// The handle through which requests publish.
#[derive(Clone)]
pub(crate) struct Publisher {
    queue: mpsc::Sender<Job>,
    patience: Duration,
    health: Dependency,
    metrics: Arc<PublishMetrics>,
}

/// The two ends of the queue: one for the requests, one for the [`Worker`].
pub(crate) fn channel(
    capacity: usize,
    patience: Duration,
    health: Dependency,
    metrics: Arc<PublishMetrics>,
) -> (Publisher, mpsc::Receiver<Job>) {
    let (queue, jobs) = mpsc::channel(capacity);
    (
        Publisher {
            queue,
            patience,
            health,
            metrics,
        },
        jobs,
    )
}

impl Publisher {
    /// How much waits, and how much may.
    pub(crate) fn register(&self, registry: &mut Registry) {
        // A sender would keep the queue open.
        let queue = self.queue.downgrade();
        let waiting = move || {
            let queue = queue.upgrade();
            queue.map_or(0, |queue| queue.max_capacity() - queue.capacity()) as f64
        };
        registry.register(
            "queue_depth",
            "Orders and cancellations that wait for a transaction",
            Live::new(waiting),
        );
        let capacity = self.queue.max_capacity() as f64;
        registry.register(
            "queue_capacity",
            "Orders and cancellations that may wait; beyond it the answer is 503",
            Live::new(move || capacity),
        );
    }

    /// Returns once the publication's transaction is committed.
    pub(crate) async fn publish(&self, publication: Publication) -> Result<(), PublishError> {
        let result = self.enqueue_and_wait(publication).await;
        if result == Err(PublishError::OutcomeUnknown) {
            // Its transaction may go on for as long as others in it wait.
            self.health.down(PublishError::OutcomeUnknown.to_string());
        }
        self.metrics.count(result);
        result
    }

    async fn enqueue_and_wait(&self, publication: Publication) -> Result<(), PublishError> {
        let deadline = Instant::now() + self.patience;
        let (job, ticket) = Job::new(publication, deadline);
        self.queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => PublishError::QueueFull,
            TrySendError::Closed(_) => PublishError::NotSent,
        })?;
        ticket.committed(deadline).await
    }
}
