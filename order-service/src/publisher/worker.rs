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
use super::queue::Queue;
use super::session::{Session, SessionSettings, Transaction, is_fenced};
use crate::metrics::PublishMetrics;

/// How long a broker may take for each step, and the coordinator to settle an earlier session.
const OPENING: Duration = Duration::from_secs(5);
/// Producers that take turns. A coordinator answers a commit before it has told the partitions,
/// and until then refuses that producer's next transaction, for which librdkafka asks again only
/// after 20 ms. The other producer can go on at once.
const PRODUCERS: usize = 2;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PublisherStopped {
    #[error(
        "another instance runs under the same instance id (its transactional id is `{0}` too): give each instance its own `instance_id`"
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
        let mut queue = Queue::new(self.jobs, self.stop, self.settings.publisher.max_batch);
        let mut commits = Commits {
            settings: &self.settings,
            producers: Default::default(),
            turn: 0,
            rivals: Rivals::default(),
            health: &self.health,
            metrics: &self.metrics,
            traces: &self.traces,
        };
        commits.reopen_if_lost()?;
        while let Some(batch) = runtime.block_on(queue.next_batch()) {
            if batch.is_empty() {
                commits.reopen_if_lost()?;
                continue;
            }
            commits.commit(batch, &mut queue)?;
        }
        commits.finish()
    }
}

#[derive(Default)]
struct Producer<'a> {
    session: Option<Session<'a>>,
    /// Its own count, so that it comes to each partition: only a producer itself can end what a
    /// broker that crashed has left open there.
    transactions: usize,
    /// The last transaction. Its end may not be in the topics yet.
    last: Vec<Job>,
    /// Sent, and not known to be committed. A broker that crashed may leave out how their
    /// transaction ended; the next one of this producer there then decides for their records, so
    /// it has all of them again: otherwise half of an order could appear.
    in_doubt: Vec<Job>,
}

struct Commits<'a> {
    settings: &'a SessionSettings,
    producers: [Producer<'a>; PRODUCERS],
    /// Whose turn it is.
    turn: usize,
    rivals: Rivals,
    health: &'a Dependency,
    metrics: &'a PublishMetrics,
    traces: &'a Traces,
}

impl Commits<'_> {
    /// Commits the batch, in a new session after each error, for as long as anybody waits for
    /// it. Sending it again is harmless downstream; answering 201 too early would not be.
    fn commit(&mut self, mut jobs: Vec<Job>, queue: &mut Queue) -> Result<(), PublisherStopped> {
        let mut backoff = Backoff::default();
        loop {
            jobs.retain(Job::is_awaited);
            if jobs.is_empty() && !self.in_doubt().any(Job::is_awaited) {
                return Ok(());
            }
            let begun = Instant::now();
            match self.attempt(&mut jobs, queue) {
                Ok(()) => return Ok(()),
                Err(error) => self.lose_session(&error, begun.elapsed())?,
            }
            std::thread::sleep(backoff.next_delay());
        }
    }

    fn attempt(&mut self, jobs: &mut Vec<Job>, queue: &mut Queue) -> KafkaResult<()> {
        self.settle()?;
        jobs.retain(Job::claim);
        let Some(deadline) = jobs.iter().map(Job::deadline).max() else {
            return Ok(());
        };
        self.pass_turn();
        self.producers[self.turn].in_doubt.append(jobs);
        self.transact(deadline, Some(queue))
    }

    fn pass_turn(&mut self) {
        self.turn = (self.turn + 1) % PRODUCERS;
    }

    fn in_doubt(&self) -> impl Iterator<Item = &Job> {
        self.producers.iter().flat_map(|each| &each.in_doubt)
    }

    /// Opens the sessions that are missing, and commits what is in doubt. Nothing is claimed
    /// before: under a lasting error there would be more in doubt with each batch.
    fn settle(&mut self) -> KafkaResult<()> {
        for _ in 0..PRODUCERS {
            self.pass_turn();
            let session = &mut self.producers[self.turn].session;
            if session.is_none() {
                *session = Some(self.settings.open(self.turn, OPENING)?);
            }
            self.transact(Instant::now() + OPENING, None)?;
        }
        self.health.up();
        Ok(())
    }

    /// Commits what is in doubt, with those who come to `queue` in time, and answers them all.
    fn transact(&mut self, deadline: Instant, mut queue: Option<&mut Queue>) -> KafkaResult<()> {
        let Producer {
            session: Some(session),
            transactions,
            last,
            in_doubt: jobs,
        } = &mut self.producers[self.turn]
        else {
            return Ok(());
        };
        if jobs.is_empty() {
            return Ok(());
        }
        *transactions = transactions.wrapping_add(1);
        let written = session.begin(*transactions).and_then(|transaction| {
            send(&transaction, jobs, deadline, queue.as_deref_mut())?;
            commit(transaction, jobs, deadline, self.traces)
        });
        let took = written.inspect_err(|_| {
            self.metrics.aborted.inc();
        })?;
        self.metrics.committed(jobs.len(), took);
        if let Some(queue) = queue {
            queue.answered(jobs.len(), took);
        }
        crash_point("order::answering");
        jobs.iter_mut().for_each(Job::acknowledge);
        *last = std::mem::take(jobs);
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
        while self.in_doubt().next().is_some() && begun.elapsed() < OPENING {
            self.reopen_if_lost()?;
            if self.in_doubt().next().is_some() {
                std::thread::sleep(backoff.next_delay());
            }
        }
        Ok(())
    }

    /// It was that of the producer whose turn it is.
    fn lose_session(&mut self, error: &KafkaError, age: Duration) -> Result<(), PublisherStopped> {
        let first = self.producers[self.turn]
            .in_doubt
            .first()
            .map(|job| &job.publication);
        tracing::warn!(
            %error,
            order_id = first.map(|order| display(order.delta.order_id)),
            trace_id = first.map(|order| trace_id(&order.trace_parent)),
            "producer sessions lost; what they had not committed, and what each had committed last, is sent again"
        );
        self.metrics.lost_sessions.inc();
        self.health.down(error.to_string());
        // What has become of the broker, the other producer would find out only at its turn.
        for producer in &mut self.producers {
            producer.session = None;
            producer.in_doubt.append(&mut producer.last);
        }
        // Beyond the timeout it was the coordinator that fenced us, not a rival.
        let timeout = Duration::from_millis(self.settings.publisher.transaction_timeout_ms);
        if is_fenced(error) && age < timeout && self.rivals.fenced_too_often(Instant::now()) {
            let id = self.settings.transactional_id.clone();
            return Err(PublisherStopped::SameInstanceId(id));
        }
        Ok(())
    }
}

/// The partitions of what comes first are registered while others still come.
fn send(
    transaction: &Transaction<'_, '_>,
    jobs: &mut Vec<Job>,
    deadline: Instant,
    queue: Option<&mut Queue>,
) -> KafkaResult<()> {
    for job in jobs.iter() {
        transaction.send(&job.publication, deadline)?;
    }
    let Some(queue) = queue else {
        return Ok(());
    };
    queue.gather(jobs.len(), |job| {
        if !job.claim() {
            return Ok(());
        }
        let sent = transaction.send(&job.publication, deadline);
        jobs.push(job);
        sent
    })
}

/// How long it took. Who joined may wait longer than those it began with.
fn commit(
    transaction: Transaction<'_, '_>,
    jobs: &[Job],
    deadline: Instant,
    traces: &Traces,
) -> KafkaResult<Duration> {
    let deadline = jobs.iter().map(Job::deadline).fold(deadline, Instant::max);
    let trace_parents = jobs.iter().map(|job| &job.publication.trace_parent);
    let orders = trace_parents.filter_map(|each| traces::sampled_at(each));
    let span = traces.batch("send orders", jobs.len(), orders);
    let begun = Instant::now();
    let committed = transaction.commit(deadline);
    traces::end(span, &committed);
    committed.map(|()| begun.elapsed())
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
