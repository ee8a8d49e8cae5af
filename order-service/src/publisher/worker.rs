use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult};
use shared::backoff::Backoff;
use shared::crash_point;
use shared::http::Dependency;
use shared::kafka::trace_id;
use shared::traces::{self, Traces};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Job;
use super::session::{Session, SessionSettings, is_fenced};
use crate::metrics::PublishMetrics;

/// How long the coordinator may take to settle an earlier session.
const OPENING: Duration = Duration::from_secs(5);
/// How long to wait for work before looking after a lost session.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait for one who was just answered, and for all of them.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_GATHERING: Duration = Duration::from_millis(25);
/// Between two looks at who is back: to be woken by each would cost more than their orders do.
const LOOK: Duration = Duration::from_micros(200);

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
            max: self.settings.publisher.max_batch,
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
        while let Some(mut batch) = runtime.block_on(queue.next_batch()) {
            if batch.is_empty() {
                commits.reopen_if_lost()?;
                continue;
            }
            queue.gather(&mut batch, gathering);
            let (size, begun) = (batch.len(), Instant::now());
            commits.commit(batch)?;
            gathering = Gathering::after(size + queue.jobs.len(), begun.elapsed());
        }
        commits.finish()
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
    async fn next_batch(&mut self) -> Option<Vec<Job>> {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            taken = self.jobs.recv_many(&mut batch, self.max) => (taken > 0).then_some(batch),
            () = self.stop.cancelled() => None,
            () = tokio::time::sleep(IDLE) => Some(batch),
        }
    }

    /// Adds those who come back in time. Blocks.
    fn gather(&mut self, batch: &mut Vec<Job>, gathering: Gathering) {
        let begun = Instant::now();
        let (mut last, mut found) = (begun, batch.len());
        loop {
            self.add_waiting(batch);
            if batch.len() > found {
                (last, found) = (Instant::now(), batch.len());
            }
            let are_all_back = found >= gathering.expected.min(self.max);
            if are_all_back
                || last.elapsed() >= gathering.pause
                || begun.elapsed() >= gathering.longest
            {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn add_waiting(&mut self, batch: &mut Vec<Job>) {
        while batch.len() < self.max
            && let Ok(job) = self.jobs.try_recv()
        {
            batch.push(job);
        }
    }
}

/// Clients that were just answered often come back at once. Without waiting for them, they
/// would miss the next transaction, and two half-empty ones would take turns for ever.
///
/// The wait ends when all are back that were there, when nobody has come for a fraction of the
/// commit that they waited for, or when it has taken as long as that commit.
#[derive(Clone, Copy, Default)]
struct Gathering {
    expected: usize,
    pause: Duration,
    longest: Duration,
}

impl Gathering {
    fn after(expected: usize, commit: Duration) -> Self {
        Self {
            expected,
            pause: (commit / 4).min(LONGEST_PAUSE),
            longest: commit.min(LONGEST_GATHERING),
        }
    }
}

struct Commits<'a> {
    settings: &'a SessionSettings,
    session: Option<Session<'a>>,
    /// The last transaction. Its end may not be in the topics yet.
    last: Vec<Job>,
    /// Sent, and not known to be committed. A broker that crashed may leave out how their
    /// transaction ended; the next one of this producer then decides for their records, so it has
    /// all of them again: otherwise half of an order could appear.
    in_doubt: Vec<Job>,
    attempts: usize,
    rivals: Rivals,
    health: &'a Dependency,
    metrics: &'a PublishMetrics,
    traces: &'a Traces,
}

impl Commits<'_> {
    /// Commits the batch, in a new session after each error, for as long as anybody waits for
    /// it. Sending it again is harmless downstream; answering 201 too early would not be.
    fn commit(&mut self, mut jobs: Vec<Job>) -> Result<(), PublisherStopped> {
        let mut backoff = Backoff::default();
        loop {
            jobs.retain(Job::is_awaited);
            if jobs.is_empty() && !self.in_doubt.iter().any(Job::is_awaited) {
                return Ok(());
            }
            let begun = Instant::now();
            match self.attempt(&mut jobs) {
                Ok(()) => return Ok(()),
                Err(error) => self.lose_session(&error, begun.elapsed())?,
            }
            std::thread::sleep(backoff.next_delay());
        }
    }

    fn attempt(&mut self, jobs: &mut Vec<Job>) -> KafkaResult<()> {
        self.settle()?;
        jobs.retain(Job::claim);
        let Some(deadline) = jobs.iter().map(Job::deadline).max() else {
            return Ok(());
        };
        self.in_doubt.append(jobs);
        self.transact(deadline)
    }

    /// Opens a session if there is none, and commits what is in doubt. Nothing is claimed before:
    /// under a lasting error there would be more in doubt with each batch.
    fn settle(&mut self) -> KafkaResult<()> {
        if self.session.is_none() {
            self.session = Some(self.settings.open(OPENING)?);
            self.health.up();
        }
        self.transact(Instant::now() + OPENING)
    }

    /// Commits what is in doubt, and answers those who wait for it.
    fn transact(&mut self, deadline: Instant) -> KafkaResult<()> {
        let (Some(session), false) = (&mut self.session, self.in_doubt.is_empty()) else {
            return Ok(());
        };
        let publications: Vec<_> = self.in_doubt.iter().map(|job| &job.publication).collect();
        let orders = publications.iter();
        let orders = orders.filter_map(|each| traces::sampled_at(&each.trace_parent));
        let span = self.traces.batch("send orders", publications.len(), orders);
        let begun = Instant::now();
        self.attempts = self.attempts.wrapping_add(1);
        let committed = session.commit(&publications, self.attempts, deadline);
        traces::end(span, &committed);
        committed.inspect_err(|_| {
            self.metrics.aborted.inc();
        })?;
        self.metrics.committed(publications.len(), begun.elapsed());
        crash_point("order::answering");
        self.in_doubt.iter_mut().for_each(Job::acknowledge);
        self.last = std::mem::take(&mut self.in_doubt);
        Ok(())
    }

    fn reopen_if_lost(&mut self) -> Result<(), PublisherStopped> {
        let begun = Instant::now();
        match self.settle() {
            Ok(()) => Ok(()),
            Err(error) => self.lose_session(&error, begun.elapsed()),
        }
    }

    /// Nobody would send what is in doubt after the end.
    fn finish(&mut self) -> Result<(), PublisherStopped> {
        let (begun, mut backoff) = (Instant::now(), Backoff::default());
        while !self.in_doubt.is_empty() && begun.elapsed() < OPENING {
            self.reopen_if_lost()?;
            if !self.in_doubt.is_empty() {
                std::thread::sleep(backoff.next_delay());
            }
        }
        Ok(())
    }

    fn lose_session(&mut self, error: &KafkaError, age: Duration) -> Result<(), PublisherStopped> {
        let first = self.in_doubt.first().map(|job| &job.publication);
        tracing::warn!(
            %error,
            order_id = first.map(|order| display(order.delta.order_id)),
            trace_id = first.map(|order| trace_id(&order.trace_parent)),
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

    fn order(sender: &mpsc::Sender<Job>) {
        let sent = sender.try_send(crate::publisher::job::tests::any());
        assert!(sent.is_ok());
    }

    fn gathered(queue: &mut Queue, gathering: Gathering) -> (usize, Duration) {
        let (mut batch, begun) = (Vec::new(), Instant::now());
        queue.gather(&mut batch, gathering);
        (batch.len(), begun.elapsed())
    }

    #[test]
    fn who_was_just_answered_is_waited_for_but_not_long() {
        let (sender, mut queue) = queue();
        order(&sender);
        let commit = Duration::from_millis(8);
        let (size, took) = gathered(&mut queue, Gathering::after(2, commit));
        assert_eq!(size, 1);
        assert!(took >= commit / 4, "{took:?}");
    }

    #[test]
    fn who_keeps_coming_is_waited_for_until_all_are_back_or_it_takes_too_long() {
        let (sender, mut queue) = queue();
        let all = Gathering {
            expected: 4,
            pause: Duration::from_secs(60),
            longest: Duration::from_secs(60),
        };
        let coming = std::thread::spawn(move || {
            for _ in 0..4 {
                std::thread::sleep(Duration::from_millis(1));
                order(&sender);
            }
            sender
        });
        let (size, took) = gathered(&mut queue, all);
        assert_eq!(size, 4);
        assert!(took < all.pause, "{took:?}");

        let sender = coming.join().unwrap();
        order(&sender);
        let longest = Duration::from_millis(5);
        let (size, took) = gathered(&mut queue, Gathering { longest, ..all });
        assert_eq!(size, 1);
        assert!(took >= longest, "{took:?}");
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
        assert_eq!(queue.next_batch().await.unwrap().len(), 8);
        assert_eq!(queue.next_batch().await.unwrap().len(), 1);
        assert!(queue.next_batch().await.is_none());
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
