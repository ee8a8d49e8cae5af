use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult};
use shared::backoff::Backoff;
use shared::crash_point;
use shared::http::Dependency;
use shared::kafka::{received_trace, trace_id};
use shared::traces::{self, Traces};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::session::{Session, SessionSettings, is_fenced};
use super::{Job, Publication};
use crate::metrics::PublishMetrics;

/// How long the coordinator may take to settle an earlier session.
const OPENING: Duration = Duration::from_secs(5);
/// How long to wait for work before looking after a lost session.
const IDLE: Duration = Duration::from_secs(1);
const LONGEST_GATHERING: Duration = Duration::from_millis(10);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PublisherStopped {
    #[error(
        "another instance runs under the same instance id (`{0}`): give each instance its own `instance_id`"
    )]
    SameInstanceId(String),
    #[error("the publisher has no clock: {0}")]
    NoClock(#[from] std::io::Error),
}

/// The publisher's thread. It blocks, so it must not run on a reactor.
pub(crate) struct Worker {
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) settings: SessionSettings,
    pub(crate) health: Dependency,
    pub(crate) metrics: Arc<PublishMetrics>,
    pub(crate) traces: Traces,
    pub(crate) stop: CancellationToken,
}

impl Worker {
    /// Publishes until told to stop; what is queued by then is published first.
    pub(crate) fn run(self) -> Result<(), PublisherStopped> {
        // Its own: where the service is killed with its runtime, this thread still ends its
        // transaction.
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let mut queue = Queue {
            jobs: self.jobs,
            stop: self.stop,
            max: self.settings.publisher.max_batch.max(1),
        };
        let mut commits = Commits {
            settings: &self.settings,
            session: None,
            last: Vec::new(),
            in_doubt: Vec::new(),
            attempts: 0,
            rivals: Rivals::default(),
            health: &self.health,
            metrics: &self.metrics,
            traces: &self.traces,
        };
        commits.reopen_if_lost()?;
        let mut gathering = Gathering::default();
        while let Some(batch) = runtime.block_on(queue.next_batch(gathering)) {
            if batch.is_empty() {
                commits.reopen_if_lost()?;
                continue;
            }
            let (size, begun) = (batch.len(), Instant::now());
            commits.commit(batch)?;
            gathering = Gathering::after(size + queue.jobs.len(), begun.elapsed());
        }
        Ok(())
    }
}

/// The worker's end of the queue.
struct Queue {
    jobs: mpsc::Receiver<Job>,
    stop: CancellationToken,
    max: usize,
}

impl Queue {
    /// Everything that waits, as soon as anything does; nothing after a while, so that a
    /// lost session is noticed without traffic; `None` when told to stop and all is done.
    async fn next_batch(&mut self, gathering: Gathering) -> Option<Vec<Job>> {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            taken = self.jobs.recv_many(&mut batch, self.max) => if taken == 0 { return None },
            () = self.stop.cancelled() => return None,
            () = tokio::time::sleep(IDLE) => return Some(batch),
        }
        let deadline = Instant::now() + gathering.patience;
        while batch.len() < gathering.expected.min(self.max) {
            let room = self.max - batch.len();
            let more = self.jobs.recv_many(&mut batch, room);
            match tokio::time::timeout_at(deadline, more).await {
                Ok(taken) if taken > 0 => {}
                _ => break,
            }
        }
        Some(batch)
    }
}

/// Clients that were just answered often come back at once. Without waiting for them, they
/// would miss the next transaction, and two half-empty ones would take turns for ever.
///
/// The wait ends when all are back that were there, and is a fraction of the commit that
/// they waited for.
#[derive(Clone, Copy, Default)]
struct Gathering {
    expected: usize,
    patience: Duration,
}

impl Gathering {
    fn after(expected: usize, commit: Duration) -> Self {
        Self {
            expected,
            patience: (commit / 4).min(LONGEST_GATHERING),
        }
    }
}

struct Commits<'a> {
    settings: &'a SessionSettings,
    session: Option<Session<'a>>,
    /// The last transaction. Its end may not be in the topics yet.
    last: Vec<Publication>,
    /// Sent in sessions that were lost, by requests that are answered. A broker that crashed may
    /// leave out how their transaction ended; the next one of this producer then decides for their
    /// records, so it has all of them again: otherwise half of an order could appear.
    in_doubt: Vec<Publication>,
    attempts: usize,
    rivals: Rivals,
    health: &'a Dependency,
    metrics: &'a PublishMetrics,
    traces: &'a Traces,
}

impl Commits<'_> {
    /// Commits the batch, in a new session after each error, for as long as anybody waits for
    /// it; what was sent by then is part of the next. Sending a batch again is harmless
    /// downstream; answering 201 too early would not be.
    fn commit(&mut self, mut jobs: Vec<Job>) -> Result<(), PublisherStopped> {
        let mut backoff = Backoff::default();
        loop {
            let given_up = jobs.extract_if(.., |job| !job.is_awaited());
            self.in_doubt.extend(given_up.filter_map(Job::sent));
            let Some(deadline) = jobs.iter().map(Job::deadline).max() else {
                return Ok(());
            };
            let begun = Instant::now();
            match self.attempt(&mut jobs, deadline) {
                Ok(()) => {
                    self.metrics.committed(jobs.len(), begun.elapsed());
                    crash_point("order::answering");
                    self.last.extend(jobs.into_iter().map(Job::acknowledge));
                    return Ok(());
                }
                Err(error) => {
                    self.lose_session(&error, begun.elapsed(), jobs.first())?;
                }
            }
            std::thread::sleep(backoff.next_delay());
        }
    }

    fn attempt(&mut self, jobs: &mut Vec<Job>, deadline: Instant) -> KafkaResult<()> {
        let partition = self.next_orders_partition();
        let session = match &mut self.session {
            Some(session) => session,
            lost => {
                let session = lost.insert(self.settings.open(OPENING)?);
                self.health.up();
                session
            }
        };
        jobs.retain(Job::claim);
        let claimed = jobs.iter().map(|job| &job.publication);
        let publications: Vec<_> = self.in_doubt.iter().chain(claimed).collect();
        if !publications.is_empty() {
            let orders = publications.iter();
            let orders = orders.filter_map(|each| traces::sampled(&each.headers));
            let span = self.traces.batch("send orders", publications.len(), orders);
            let committed = session.commit(&publications, partition, deadline);
            traces::end(span, &committed);
            committed.inspect_err(|_| {
                self.metrics.aborted.inc();
            })?;
            self.last = std::mem::take(&mut self.in_doubt);
        }
        Ok(())
    }

    /// Round robin, also over the attempts at one batch: a partition may be without a
    /// leader.
    fn next_orders_partition(&mut self) -> i32 {
        let partitions = usize::try_from(self.settings.topics.orders.partitions).unwrap_or(1);
        self.attempts = self.attempts.wrapping_add(1);
        i32::try_from(self.attempts % partitions.max(1)).unwrap_or(0)
    }

    fn reopen_if_lost(&mut self) -> Result<(), PublisherStopped> {
        let begun = Instant::now();
        match self.attempt(&mut Vec::new(), begun + OPENING) {
            Ok(()) => Ok(()),
            Err(error) => self.lose_session(&error, begun.elapsed(), None),
        }
    }

    /// `first`: of those who wait, for the log.
    fn lose_session(
        &mut self,
        error: &KafkaError,
        age: Duration,
        first: Option<&Job>,
    ) -> Result<(), PublisherStopped> {
        let first = first.map(|job| &job.publication);
        let trace_parent = first.and_then(|order| received_trace(&order.headers));
        tracing::warn!(
            %error,
            order_id = first.map(|order| display(order.delta.order_id)),
            trace_id = trace_parent.map(trace_id),
            "producer session lost; what it had not committed is sent again"
        );
        self.metrics.lost_sessions.inc();
        self.session = None;
        self.in_doubt.append(&mut self.last);
        self.health.down(error.to_string());
        // Beyond the timeout it was the coordinator that fenced us, not a rival.
        let timeout = Duration::from_millis(self.settings.publisher.transaction_timeout_ms);
        if is_fenced(error) && age < timeout && self.rivals.fenced_too_often(Instant::now()) {
            let id = self.settings.transactional_id.clone();
            return Err(PublisherStopped::SameInstanceId(id));
        }
        Ok(())
    }
}

/// When rivals fenced us, within the last minute.
#[derive(Default)]
struct Rivals(VecDeque<Instant>);

impl Rivals {
    /// A restart fences its predecessor once; three times in a minute is a rival that
    /// lives.
    fn fenced_too_often(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        self.0
            .retain(|then| now.duration_since(*then) < Duration::from_secs(60));
        self.0.len() >= 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> (mpsc::Sender<Job>, Queue) {
        let (sender, jobs) = mpsc::channel(16);
        (
            sender,
            Queue {
                jobs,
                stop: CancellationToken::new(),
                max: 8,
            },
        )
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_just_answered_is_waited_for_but_not_long() {
        let (sender, mut queue) = queue();
        let gathering = Gathering::after(2, Duration::from_millis(8));
        sender
            .send(crate::publisher::job::tests::any())
            .await
            .unwrap();
        let begun = Instant::now();
        assert_eq!(queue.next_batch(gathering).await.unwrap().len(), 1);
        assert_eq!(begun.elapsed(), Duration::from_millis(2));
        for _ in 0..2 {
            sender
                .send(crate::publisher::job::tests::any())
                .await
                .unwrap();
        }
        let begun = Instant::now();
        assert_eq!(queue.next_batch(gathering).await.unwrap().len(), 2);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_queued_at_a_stop_is_handed_out_first() {
        let (sender, mut queue) = queue();
        for _ in 0..9 {
            sender
                .send(crate::publisher::job::tests::any())
                .await
                .unwrap();
        }
        queue.stop.cancel();
        assert_eq!(
            queue.next_batch(Gathering::default()).await.unwrap().len(),
            8
        );
        assert_eq!(
            queue.next_batch(Gathering::default()).await.unwrap().len(),
            1
        );
        assert!(queue.next_batch(Gathering::default()).await.is_none());
    }

    #[test]
    fn three_fencings_in_a_minute_are_a_rival() {
        let mut rivals = Rivals::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!rivals.fenced_too_often(at(0)));
        assert!(!rivals.fenced_too_often(at(50)));
        assert!(!rivals.fenced_too_often(at(70)));
        assert!(rivals.fenced_too_often(at(80)));
    }
}
