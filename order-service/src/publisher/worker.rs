use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult};
use shared::backoff::Backoff;
use shared::http::Dependency;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::session::{Session, SessionSettings, is_fenced};
use super::Job;
use crate::metrics::PublishMetrics;

/// How long the coordinator may take to settle an earlier session.
const OPENING: Duration = Duration::from_secs(5);
/// How long to wait for work before looking after a lost session.
const IDLE: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PublisherStopped {
    #[error(
        "another instance runs under the same instance id (`{0}`): give each instance its own `instance_id`"
    )]
    SameInstanceId(String),
}

/// The publisher's thread. It blocks, so it must not run on a reactor.
pub(crate) struct Worker {
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) settings: SessionSettings,
    pub(crate) health: Dependency,
    pub(crate) metrics: Arc<PublishMetrics>,
    pub(crate) stop: CancellationToken,
}

impl Worker {
    /// Publishes until told to stop; what is queued by then is published first.
    pub(crate) fn run(mut self, runtime: &Handle) -> Result<(), PublisherStopped> {
        let mut commits = Commits {
            settings: &self.settings,
            session: None,
            attempts: 0,
            rivals: Rivals::default(),
            health: &self.health,
            metrics: &self.metrics,
        };
        let max = self.settings.publisher.max_batch.max(1);
        commits.reopen_if_lost()?;
        while let Some(batch) = runtime.block_on(next_batch(&mut self.jobs, &self.stop, max)) {
            if batch.is_empty() {
                commits.reopen_if_lost()?;
            } else {
                commits.commit(batch)?;
            }
        }
        Ok(())
    }
}

/// Everything that waits, as soon as anything does; nothing after a while, so that a
/// lost session is noticed without traffic; `None` when told to stop and all is done.
async fn next_batch(
    jobs: &mut mpsc::Receiver<Job>,
    stop: &CancellationToken,
    max: usize,
) -> Option<Vec<Job>> {
    let mut batch = Vec::new();
    tokio::select! {
        biased;
        taken = jobs.recv_many(&mut batch, max) => (taken > 0).then_some(batch),
        () = stop.cancelled() => None,
        () = tokio::time::sleep(IDLE) => Some(batch),
    }
}

struct Commits<'a> {
    settings: &'a SessionSettings,
    session: Option<Session<'a>>,
    attempts: usize,
    rivals: Rivals,
    health: &'a Dependency,
    metrics: &'a PublishMetrics,
}

impl Commits<'_> {
    /// Commits the batch, in a new session after each error, for as long as anybody
    /// waits for it. Sending a batch again is harmless downstream; answering 201 too
    /// early would not be.
    fn commit(&mut self, mut jobs: Vec<Job>) -> Result<(), PublisherStopped> {
        let mut backoff = Backoff::default();
        loop {
            jobs.retain(Job::is_awaited);
            let Some(deadline) = jobs.iter().map(Job::deadline).max() else {
                return Ok(());
            };
            let begun = Instant::now();
            match self.attempt(&mut jobs, deadline) {
                Ok(()) => {
                    self.metrics.committed(jobs.len(), begun.elapsed());
                    jobs.into_iter().for_each(Job::acknowledge);
                    return Ok(());
                }
                Err(error) => self.lose_session(&error, begun.elapsed())?,
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
        session.commit(jobs, partition, deadline)
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
        match self.attempt(&mut Vec::new(), begun) {
            Ok(()) => Ok(()),
            Err(error) => self.lose_session(&error, begun.elapsed()),
        }
    }

    fn lose_session(&mut self, error: &KafkaError, age: Duration) -> Result<(), PublisherStopped> {
        tracing::warn!(%error, "transaction not committed; its orders are sent again");
        self.metrics.lost_sessions.inc();
        self.session = None;
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
        self.0.retain(|then| now.duration_since(*then) < Duration::from_secs(60));
        self.0.len() >= 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
