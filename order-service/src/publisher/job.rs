use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use shared::contract::{Delta, Order};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::PublishError;

/// What one request wants written, all of it or nothing.
#[derive(Debug)]
pub(crate) struct Publication {
    /// Absent for a cancellation.
    pub(crate) order: Option<Order>,
    pub(crate) delta: Delta,
    /// What its records carry on.
    pub(crate) trace_parent: String,
}

/// A publication on its way through the queue.
pub(crate) struct Job {
    pub(super) publication: Publication,
    deadline: Instant,
    stage: Stage,
    /// Taken by the answer.
    committed: Option<oneshot::Sender<()>>,
}

/// The request's end of a [`Job`].
pub(super) struct Ticket {
    stage: Stage,
    committed: oneshot::Receiver<()>,
}

/// Whether the publication has left for the broker. Request and publisher decide it
/// between them by one compare-and-swap, which is what tells 503 from 504.
#[derive(Clone, Default)]
struct Stage(Arc<AtomicU8>);

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

impl Stage {
    /// Moves on from `QUEUED`; false if the other side was faster.
    fn leave_queue(&self, to: u8) -> bool {
        self.0
            .compare_exchange(QUEUED, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn is(&self, stage: u8) -> bool {
        self.0.load(Ordering::Acquire) == stage
    }
}

impl Job {
    pub(super) fn new(publication: Publication, deadline: Instant) -> (Self, Ticket) {
        let stage = Stage::default();
        let (committed, receiver) = oneshot::channel();
        let ticket = Ticket {
            stage: stage.clone(),
            committed: receiver,
        };
        (
            Self {
                publication,
                deadline,
                stage,
                committed: Some(committed),
            },
            ticket,
        )
    }

    /// Claims the publication for sending; false if its request has given up on it.
    pub(super) fn claim(&self) -> bool {
        self.stage.leave_queue(SENT)
    }

    /// Whether an answer is still waited for.
    pub(super) fn is_awaited(&self) -> bool {
        self.committed.is_some() && !self.stage.is(ABANDONED) && Instant::now() < self.deadline
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn acknowledge(&mut self) {
        if let Some(committed) = self.committed.take() {
            // A client that has gone needs no answer.
            committed.send(()).ok();
        }
    }
}

impl Ticket {
    pub(super) async fn committed(self, deadline: Instant) -> Result<(), PublishError> {
        match tokio::time::timeout_at(deadline, self.committed).await {
            Ok(Ok(())) => Ok(()),
            _ if self.stage.leave_queue(ABANDONED) => Err(PublishError::NotSent),
            _ => Err(PublishError::OutcomeUnknown),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use shared::contract::DeltaKind;

    use super::*;

    fn job(patience: Duration) -> (Job, Ticket, Instant) {
        let delta = Delta {
            order_id: shared::contract::OrderId::random(),
            product_id: shared::contract::ProductId(1),
            kind: DeltaKind::Reserve,
            delta: -1,
        };
        let publication = Publication {
            order: None,
            delta,
            trace_parent: String::new(),
        };
        let deadline = Instant::now() + patience;
        let (job, ticket) = Job::new(publication, deadline);
        (job, ticket, deadline)
    }

    pub(in crate::publisher) fn any() -> Job {
        job(Duration::from_secs(60)).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_gives_up_in_the_queue_is_never_sent() {
        let (job, ticket, deadline) = job(Duration::from_secs(1));
        assert_eq!(ticket.committed(deadline).await, Err(PublishError::NotSent));
        assert!(!job.claim());
        assert!(!job.is_awaited());
    }

    #[tokio::test(start_paused = true)]
    async fn once_sent_the_outcome_is_unknown_at_the_deadline() {
        let (job, ticket, deadline) = job(Duration::from_secs(1));
        assert!(job.claim());
        assert_eq!(
            ticket.committed(deadline).await,
            Err(PublishError::OutcomeUnknown)
        );
        assert!(!job.is_awaited());
    }

    #[tokio::test]
    async fn a_commit_answers_the_request() {
        let (mut job, ticket, deadline) = job(Duration::from_secs(60));
        assert!(job.claim());
        job.acknowledge();
        assert!(!job.is_awaited());
        assert_eq!(ticket.committed(deadline).await, Ok(()));
    }
}
