//! From deltas to stock and outcomes, batch by batch: read → apply → publish.
//!
//! While one batch is published, the next one is applied, and the one after it is read. Offsets
//! are committed last and in order, so what was on its way when a service was killed, or had just
//! been published, is read and applied again: the ledger has it, and its facts are published again.
//!
//! Bad data and broken infrastructure never share a path. A record that can never be
//! applied is a [`BadDelta`] and ends in the dead letters; after anything else that goes wrong
//! the same batch is handled again until it works.

mod apply;
mod batch;
mod decide;
mod decode;
mod outcome;
mod spans;

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use sea_orm::{DatabaseConnection, DbErr};
use shared::backoff::retry;
use shared::crash_point;
use shared::http::Dependency;
use shared::kafka::{BETWEEN_EVENTS, BatchConsumer, BatchLimits, FactProducer};
use shared::traces::{self, Traces};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use apply::{apply, rehearse};
pub use decide::{BadDelta, Decision, Movement, Plan, View, decide};

use self::batch::{Applied, Read};
use self::outcome::outcome;
use self::spans::BatchSpans;
use crate::metrics::Metrics;
use crate::settings::{Settings, Topics};

const CLIENT_ID: &str = "catalog-service";
const APPLY: &str = "the database does not apply deltas";
const READ: &str = "the broker does not let deltas be read";
const PUBLISH: &str = "the broker does not take outcomes";

/// Little, since the database may have answered meanwhile.
const READ_AT_ONCE: BatchLimits = BatchLimits {
    records: 128,
    bytes: 512 * 1024,
};

pub struct Applier {
    consumer: BatchConsumer,
    producer: FactProducer,
    turn: AtomicU32,
    db: DatabaseConnection,
    topics: Topics,
    max_batch: usize,
    metrics: Metrics,
    traces: Traces,
}

impl Applier {
    pub fn new(
        settings: &Settings,
        db: DatabaseConnection,
        metrics: Metrics,
        traces: Traces,
    ) -> Result<Self, KafkaError> {
        let mut config = settings.kafka.consumer(CLIENT_ID);
        config.set("group.id", &settings.group);
        let topics = [settings.topics.catalog_deltas.name.as_str()];
        let consumer = BatchConsumer::subscribe(&config, &topics, READ_AT_ONCE)?;
        consumer.report(&metrics.lag);
        Ok(Self {
            consumer,
            producer: FactProducer::new(&settings.kafka, CLIENT_ID)?,
            turn: AtomicU32::default(),
            db,
            topics: settings.topics.clone(),
            max_batch: settings.applier.max_batch,
            metrics,
            traces,
        })
    }

    /// Applies batch after batch until told to stop; finishes those on their way if that is
    /// possible for now.
    pub async fn run(
        self,
        health: Dependency,
        reading: Dependency,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        health.up();
        reading.up();
        let (to_publish, applied) = mpsc::channel(1);
        let upkeep = Upkeep {
            health,
            reading,
            failures: self.metrics.failures.clone(),
            stop,
        };
        tokio::join!(
            self.apply_all(to_publish, &upkeep),
            self.publish_all(applied, &upkeep),
        );
        self.consumer.close().await;
        Ok(())
    }

    /// While one batch is published, the next one is applied, and no more.
    async fn apply_all<'c>(&'c self, to_publish: Sender<Applied<'c>>, upkeep: &Upkeep) {
        let mut ahead = Read::default();
        while let Ok(place) = self.reading(&mut ahead, upkeep, to_publish.reserve()).await {
            while ahead.records.is_empty() || upkeep.stop.is_cancelled() {
                let read = self.read(&mut ahead, upkeep);
                if upkeep.stop.run_until_cancelled(read).await.is_none() {
                    return;
                }
            }
            let (begun, read) = (Instant::now(), ahead.take(self.max_batch));
            let failed = |error: &DbErr| upkeep.goes_on(APPLY, error);
            let applying = retry(&upkeep.stop, || self.apply(&read), failed);
            let Ok(Some((decisions, spans))) = self.reading(&mut ahead, upkeep, applying).await
            else {
                return;
            };
            crash_point("catalog::committed");
            place.send(Applied {
                read,
                decisions,
                spans,
                begun,
            });
        }
    }

    /// Does `work`, and reads the next batch meanwhile.
    async fn reading<'c, T>(
        &'c self,
        ahead: &mut Read<'c>,
        upkeep: &Upkeep,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.read(ahead, upkeep), if ahead.has_room(self.max_batch) => {}
            }
        }
    }

    /// Cancel-safe.
    async fn read<'c>(&'c self, ahead: &mut Read<'c>, upkeep: &Upkeep) {
        match self.consumer.next_batch().await {
            Ok(records) => {
                upkeep.reading.up();
                ahead.extend(records);
            }
            Err(error) => {
                // Of anything else the broker's own health says it better.
                if is_refusal(&error) {
                    upkeep.reading.down(format!("{READ}: {error}"));
                }
                upkeep.failures.inc();
                sleep(BETWEEN_EVENTS).await;
            }
        }
        yield_now().await;
    }

    async fn apply(&self, read: &Read<'_>) -> Result<(Vec<Decision>, BatchSpans), DbErr> {
        let mut spans = BatchSpans::begin(&self.traces, &read.records);
        let deltas: Vec<_> = read.deltas.iter().flatten().copied().collect();
        let transaction = spans.transaction();
        let applied = apply(&self.db, &deltas, &self.metrics).await;
        traces::end(transaction, &applied);
        let applied = applied.inspect_err(|error| spans.fail(error))?;
        let decisions = read.in_their_places(applied);
        spans.decided(&read.deltas, &decisions);
        Ok((decisions, spans))
    }

    async fn publish_all<'c>(&'c self, mut applied: Receiver<Applied<'c>>, upkeep: &Upkeep) {
        while let Some(batch) = applied.recv().await {
            let failed = |error: &KafkaError| upkeep.goes_on(PUBLISH, error);
            let published = retry(&upkeep.stop, || self.publish(&batch), failed).await;
            let Ok(Some(())) = published else {
                return;
            };
            batch.tell();
            crash_point("catalog::published");
            self.consumer.handled(&batch.read.records);
            self.metrics
                .observe_batch(&batch.read.deltas, &batch.decisions, batch.begun.elapsed());
            upkeep.health.up();
        }
    }

    async fn publish(&self, batch: &Applied<'_>) -> Result<(), KafkaError> {
        let partition = self.next_partition();
        let topic = &self.topics.order_outcomes.name;
        // Each ends when all are written.
        let mut spans = Vec::new();
        let mut records = Vec::with_capacity(batch.decisions.len());
        let consumed = batch.read.records.iter().zip(&batch.decisions);
        for (at, (record, decision)) in consumed.enumerate() {
            let own_trace = || {
                let span = batch.spans.fact(at, topic)?;
                let trace_parent = span.trace_parent();
                spans.push(span);
                Some(trace_parent)
            };
            records.extend(outcome(
                &self.topics,
                partition,
                record,
                decision,
                own_trace,
            ));
            // Lets the next batch go on whenever the database has answered.
            consume_budget().await;
        }
        self.producer.send_all(records).await
    }

    /// All facts of a batch go to one partition, by turns: a request for each would cost the broker
    /// more than its records do, and so would the wakings of those who read. Facts commute. After
    /// an error it is another one, which may have a leader.
    fn next_partition(&self) -> i32 {
        let partitions = self.topics.order_outcomes.partitions;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        i32::try_from(turn % partitions.unsigned_abs().max(1)).unwrap_or(0)
    }
}

/// The broker answers, and will not let us read.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed};
    matches!(
        error.rdkafka_error_code(),
        Some(GroupAuthorizationFailed | TopicAuthorizationFailed)
    )
}

/// How reading, applying and publishing say that something is broken, and when they stop.
struct Upkeep {
    health: Dependency,
    /// A refusal is told once, and nothing but a record tells that it is over.
    reading: Dependency,
    failures: Counter,
    stop: CancellationToken,
}

impl Upkeep {
    /// After an error of the infrastructure the same batch is handled again, always.
    fn goes_on(&self, what: &str, error: &dyn Display) -> bool {
        self.failures.inc();
        self.health.down(format!("{what}: {error}"));
        true
    }
}
