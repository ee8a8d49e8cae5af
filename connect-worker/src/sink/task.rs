use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};
use shared::crash_point;
use shared::database;
use shared::kafka::{BETWEEN_EVENTS, BatchConsumer, KafkaSettings, TopicError};
use shared::settings::{DatabaseSettings, Secret};
use shared::traces::{self, Span, Traces};
use tokio_util::sync::CancellationToken;

use super::consumer::{matching, subscribe};
use super::error::{TaskError, is_connection_failure, is_lock_conflict};
use super::metrics::{SinkMetrics, TaskMetrics};
use super::pipeline::{BatchError, Pipeline, Written};
use super::writer::Progress;
use crate::config::{Retries, SinkConfig, Topics};

/// How long a batch is kept while the database is away, as a member of the group that
/// takes no part in it. Well below `max.poll.interval.ms`, five minutes, after which the
/// group gives the partitions to others.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one attempt may take: a database whose host has vanished never answers. With
/// [`PATIENCE`] before it, it still ends below `max.poll.interval.ms`.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(180);
const BROKER_DELAY: Duration = Duration::from_secs(1);
/// How often to look for topics that match; `metadata.max.age.ms` says otherwise.
const NEW_TOPICS: Duration = Duration::from_secs(30);
/// Beyond any use, and still a time that can be added to now.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const LOCK_DELAY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskId {
    pub connector: String,
    pub number: usize,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.number)
    }
}

/// One of a connector's tasks: a consumer, and the way into the database.
pub struct Task {
    id: TaskId,
    config: SinkConfig,
    kafka: KafkaSettings,
    /// `None` while the database does not answer: others may take the partitions.
    consumer: Option<BatchConsumer>,
    topic_ensured: bool,
    topics: Subscription,
    /// Since they were last taken.
    consumed: BTreeSet<String>,
    work: Work,
}

/// The topics that a task consumes.
struct Subscription {
    wanted: Topics,
    topics: Vec<String>,
    /// When to look for new ones: names need no looking.
    look_at: Option<Instant>,
    look_every: Duration,
}

/// What happened in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Wrote(Written),
    /// Something was broken; there was a wait.
    Waited,
    /// The stop signal came.
    Stopped,
}

impl Task {
    /// Connects when first needed.
    pub async fn new(
        id: TaskId,
        config: SinkConfig,
        kafka: &KafkaSettings,
        metrics: &SinkMetrics,
        traces: &Traces,
    ) -> Result<Self, TaskError> {
        let db = open_database(&config.database).await;
        let db = db.map_err(|error| TaskError::of_url(&error))?;
        let work = Work {
            pipeline: Pipeline::new(&id, &config, db, kafka),
            database: config.database.clone(),
            effort: Effort {
                rules: config.retries,
                connection: config.connection,
                failures: 0,
                unreachable: 0,
            },
            metrics: metrics.of(&id),
            traces: traces.clone(),
        };
        let kafka = kafka.clone();
        Ok(Self {
            id,
            topics: Subscription::new(&config),
            config,
            kafka,
            consumer: None,
            topic_ensured: false,
            consumed: BTreeSet::new(),
            work,
        })
    }

    /// Writes one batch, or waits out a fault. An error ends the task.
    pub async fn step(&mut self, stop: &CancellationToken) -> Result<Step, TaskError> {
        if stop.is_cancelled() {
            return Ok(Step::Stopped);
        }
        if let Some(delay) = self.prepare().await? {
            return Ok(wait(delay, stop)
                .await
                .map_or(Step::Stopped, |()| Step::Waited));
        }
        let Some(consumer) = &self.consumer else {
            return Ok(Step::Waited);
        };
        let batch = tokio::select! {
            batch = consumer.next_batch() => batch,
            () = self.topics.time_to_look() => return Ok(Step::Waited),
            () = stop.cancelled() => return Ok(Step::Stopped),
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "nothing to be had from the broker");
                return Ok(wait(BETWEEN_EVENTS, stop)
                    .await
                    .map_or(Step::Stopped, |()| Step::Waited));
            }
        };
        crash_point("sink::writing");
        let written = self.work.write(consumer, &batch, stop).await?;
        if let Some(written) = written {
            crash_point("sink::written");
            consumer.handled(&batch);
            for message in &batch {
                if !self.consumed.contains(message.topic()) {
                    self.consumed.insert(message.topic().to_owned());
                }
            }
            return Ok(Step::Wrote(written));
        }
        drop(batch);
        self.leave_group().await;
        // A topic that takes no letters may be why.
        self.topic_ensured = false;
        Ok(if stop.is_cancelled() {
            Step::Stopped
        } else {
            Step::Waited
        })
    }

    /// The topics of the records since the last call.
    pub fn take_consumed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.consumed)
    }

    /// Commits what is written and leaves the group.
    pub async fn close(mut self) {
        self.leave_group().await;
    }

    /// Joins the group once there is a topic for bad records and a database for good ones;
    /// the wait until the next attempt if there is not.
    async fn prepare(&mut self) -> Result<Option<Duration>, TaskError> {
        if !self.topic_ensured {
            if let Err(error) = self.work.pipeline.ensure_topic().await {
                if is_lasting(&error) {
                    return Err(TaskError::Config(error.to_string()));
                }
                tracing::warn!(%error, "no dead-letter topic yet");
                return Ok(Some(BROKER_DELAY));
            }
            self.topic_ensured = true;
        }
        match self.topics.look(&self.kafka).await {
            Ok(false) => {}
            // The group's other members keep their partitions until this one is back.
            Ok(true) => self.leave_group().await,
            Err(error) => {
                tracing::warn!(%error, "the broker does not tell its topics");
                return Ok(Some(BROKER_DELAY));
            }
        }
        if self.topics.topics.is_empty() {
            return Ok(Some(BROKER_DELAY));
        }
        if self.consumer.is_none() {
            if let Err(error) = self.work.pipeline.ping().await {
                return self.work.failed(error).map(Some);
            }
            let consumer = subscribe(&self.kafka, &self.id, &self.config, &self.topics.topics)?;
            consumer.report(&self.work.metrics.lag);
            self.consumer = Some(consumer);
        }
        Ok(None)
    }

    async fn leave_group(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            consumer.close().await;
        }
    }
}

impl Subscription {
    fn new(config: &SinkConfig) -> Self {
        let every = config.consumer.get("metadata.max.age.ms");
        let every = every.and_then(|millis| millis.parse().ok());
        let (topics, look_at) = match &config.topics {
            Topics::Named(names) => (names.clone(), None),
            Topics::Matching(_) => (Vec::new(), Some(Instant::now())),
        };
        Self {
            wanted: config.topics.clone(),
            topics,
            look_at,
            look_every: every.map_or(NEW_TOPICS, |ms| Duration::from_millis(ms).min(LONGEST)),
        }
    }

    /// Looks for topics if it is time to; whether they are others now.
    async fn look(&mut self, kafka: &KafkaSettings) -> Result<bool, KafkaError> {
        let due = self.look_at.is_some_and(|at| at <= Instant::now());
        let Topics::Matching(regex) = &self.wanted else {
            return Ok(false);
        };
        if !due {
            return Ok(false);
        }
        let found = matching(kafka, regex).await?;
        let wait = if found.is_empty() {
            BROKER_DELAY.min(self.look_every)
        } else {
            self.look_every
        };
        self.look_at = Some(Instant::now() + wait);
        let changed = found != self.topics;
        self.topics = found;
        Ok(changed)
    }

    async fn time_to_look(&self) {
        match self.look_at {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

/// A task without its consumer, so that a batch can borrow from that.
struct Work {
    pipeline: Pipeline,
    database: Secret,
    effort: Effort,
    metrics: TaskMetrics,
    traces: Traces,
}

impl Work {
    /// Tries until the batch is written, for so long as it may be kept. `None`: it is not.
    async fn write(
        &mut self,
        consumer: &BatchConsumer,
        batch: &[BorrowedMessage<'_>],
        stop: &CancellationToken,
    ) -> Result<Option<Written>, TaskError> {
        let begun = Instant::now();
        let records = self.traces.consume(batch);
        let mut looked_again = false;
        let mut progress = Progress::default();
        loop {
            let contexts = records.iter().flatten().map(Span::context);
            let attempt = self.traces.batch("write rows", batch.len(), contexts);
            let result = self.attempt(batch, &mut progress).await;
            traces::end(attempt, &result);
            let delay = match result {
                Ok(written) => {
                    self.effort.succeeded();
                    self.metrics
                        .batch(written.records, written.dead_letters, begun.elapsed());
                    let times = batch.iter().map(|record| record.timestamp().to_millis());
                    if let Some(oldest) = times.flatten().min() {
                        self.metrics.oldest(oldest);
                    }
                    return Ok(Some(written));
                }
                Err(BatchError::Task(error)) => return Err(error),
                Err(BatchError::Structure(_)) if !looked_again => {
                    looked_again = true;
                    continue;
                }
                Err(BatchError::Structure(source)) => {
                    return Err(TaskError::Database { retries: 1, source });
                }
                Err(BatchError::Database(error)) => self.failed(error)?,
                Err(BatchError::Broker(error)) => {
                    tracing::warn!(%error, "dead letters not sent");
                    BROKER_DELAY
                }
            };
            let stopped = wait(delay, stop).await.is_none();
            // The partitions' new owners may have written newer rows.
            if stopped || begun.elapsed() > PATIENCE || consumer.is_expelled() {
                return Ok(None);
            }
        }
    }

    async fn attempt(
        &mut self,
        batch: &[BorrowedMessage<'_>],
        progress: &mut Progress,
    ) -> Result<Written, BatchError> {
        let written = self.pipeline.write(batch, progress);
        if let Ok(written) = tokio::time::timeout(LONGEST_ATTEMPT, written).await {
            return written;
        }
        // The pool's only connection still waits for its answer.
        let db = open_database(&self.database).await;
        self.pipeline.reconnect(db.map_err(BatchError::Database)?);
        let silence = format!("no answer within {} s", LONGEST_ATTEMPT.as_secs());
        let error = DbErr::Conn(RuntimeErr::Internal(silence));
        Err(BatchError::Database(error))
    }

    fn failed(&mut self, error: DbErr) -> Result<Duration, TaskError> {
        self.metrics.retry();
        self.effort.failed(error)
    }
}

/// Counts the attempts that failed in a row.
struct Effort {
    rules: Retries,
    /// For a database that cannot be reached, where that is counted apart.
    connection: Option<Retries>,
    failures: u32,
    unreachable: u32,
}

impl Effort {
    fn succeeded(&mut self) {
        if self.failures > 0 {
            tracing::info!(attempts = self.failures, "written at last");
        }
        self.failures = 0;
        self.unreachable = 0;
    }

    /// How long to wait before the next attempt, if there is to be one.
    fn failed(&mut self, source: DbErr) -> Result<Duration, TaskError> {
        if let Some(rules) = self.connection
            && is_connection_failure(&source)
        {
            return self.not_connected(rules, source);
        }
        if self.failures >= self.rules.max {
            return Err(TaskError::Database {
                retries: self.failures,
                source,
            });
        }
        self.failures += 1;
        // A long outage is told ever more rarely.
        if self.failures.is_power_of_two() {
            tracing::warn!(error = %source, attempts = self.failures, "not written yet");
        }
        let delay = self.rules.delay;
        Ok(if is_lock_conflict(&source) {
            delay.min(LOCK_DELAY)
        } else {
            delay
        })
    }

    fn not_connected(&mut self, rules: Retries, source: DbErr) -> Result<Duration, TaskError> {
        if self.unreachable >= rules.max {
            let attempts = self.unreachable + 1;
            return Err(TaskError::Connection { attempts, source });
        }
        self.unreachable += 1;
        tracing::warn!(error = %source, attempts = self.unreachable, "no connection yet");
        Ok(rules.delay)
    }
}

/// Connects when first used. One connection is enough: a task does one thing at a time.
pub(crate) async fn open_database(url: &Secret) -> Result<DatabaseConnection, DbErr> {
    let settings = DatabaseSettings {
        url: url.clone(),
        max_connections: 1,
        migrate: false,
    };
    database::connect(&settings).await
}

/// Whether the dead-letter topic will not come to be by waiting.
fn is_lasting(error: &TopicError) -> bool {
    use RDKafkaErrorCode::{InvalidReplicationFactor, TopicAuthorizationFailed};
    let is_refused = matches!(
        error,
        TopicError::NotCreated {
            code: InvalidReplicationFactor | TopicAuthorizationFailed,
            ..
        }
    );
    is_refused || !error.is_transient()
}

/// `None` if the stop signal came first.
async fn wait(delay: Duration, stop: &CancellationToken) -> Option<()> {
    tokio::select! {
        () = tokio::time::sleep(delay) => Some(()),
        () = stop.cancelled() => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_in_a_row_and_then_given_up() {
        let rules = Retries {
            max: 2,
            delay: Duration::from_secs(3),
        };
        let mut effort = Effort {
            rules,
            connection: None,
            failures: 0,
            unreachable: 0,
        };
        let broken = || DbErr::Custom("gone".to_owned());
        assert_eq!(effort.failed(broken()).unwrap(), rules.delay);
        effort.succeeded();
        assert!(effort.failed(broken()).is_ok());
        assert!(effort.failed(broken()).is_ok());
        let given_up = effort.failed(broken()).unwrap_err();
        assert_eq!(
            given_up.trace(),
            "giving up after 2 retries\nCaused by: Custom Error: gone"
        );
    }
}
