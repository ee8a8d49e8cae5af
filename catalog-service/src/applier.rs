//! From deltas to stock and outcomes: decode → apply → outcome, batch by batch.
//!
//! Bad data and broken infrastructure never share a path. A record that can never be
//! applied is a [`BadDelta`] and ends in the dead letters; anything else that goes wrong
//! is a [`StepError`], after which the same batch is handled again until it works.

mod apply;
mod decide;
mod decode;
mod outcome;
mod spans;

use std::convert::Infallible;
use std::time::Instant;

use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message, OwnedMessage};
use sea_orm::{DatabaseConnection, DbErr};
use shared::backoff::Backoff;
use shared::contract::Delta;
use shared::crash_point;
use shared::http::Dependency;
use shared::kafka::{
    BETWEEN_EVENTS, BatchConsumer, BatchLimits, FactProducer, received_trace, trace_id,
};
use shared::traces::{self, Traces};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::field::display;

pub use apply::{apply, rehearse};
pub use decide::{BadDelta, Decision, Movement, Plan, View, decide};

use self::decode::decode;
use self::outcome::outcome;
use self::spans::BatchSpans;
use crate::metrics::Metrics;
use crate::settings::{Settings, Topics};

const CLIENT_ID: &str = "catalog-service";

pub struct Applier {
    consumer: BatchConsumer,
    producer: FactProducer,
    db: DatabaseConnection,
    topics: Topics,
    metrics: Metrics,
    traces: Traces,
    /// Read but not committed: what a failure has left to do again.
    in_hand: Vec<OwnedMessage>,
}

/// What one iteration did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handled {
    pub records: usize,
    pub facts: usize,
    pub dead_letters: usize,
}

/// Broken infrastructure. The batch is not committed: it can be handled again.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error("the database does not apply deltas: {0}")]
    Database(#[from] DbErr),
    #[error("the broker does not deliver deltas or take outcomes: {0}")]
    Broker(#[from] KafkaError),
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
        let limits = BatchLimits::records(settings.applier.max_batch);
        let consumer = BatchConsumer::subscribe(&config, &topics, limits)?;
        consumer.report(&metrics.lag);
        Ok(Self {
            consumer,
            producer: FactProducer::new(&settings.kafka, CLIENT_ID)?,
            db,
            topics: settings.topics.clone(),
            metrics,
            traces,
            in_hand: Vec::new(),
        })
    }

    /// Applies batch after batch until told to stop; finishes the one in hand if that is
    /// possible for now.
    pub async fn run(
        mut self,
        health: Dependency,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        health.up();
        let mut backoff = Backoff::default();
        while let Some(taken) = stop.run_until_cancelled(self.take()).await {
            if taken.is_err() {
                // The broker's own health says it better.
                self.metrics.failures.inc();
                stop.run_until_cancelled(sleep(BETWEEN_EVENTS)).await;
                continue;
            }
            match self.handle().await {
                Ok(_) => {
                    health.up();
                    backoff.reset();
                }
                Err(error) => {
                    self.metrics.failures.inc();
                    health.down(error.to_string());
                    stop.run_until_cancelled(backoff.wait()).await;
                }
            }
        }
        self.consumer.close().await;
        Ok(())
    }

    /// One iteration: waits for a batch, unless a failure left one in hand, applies it,
    /// publishes what became of it, and commits its offsets.
    pub async fn step(&mut self) -> Result<Handled, StepError> {
        self.take().await?;
        self.handle().await
    }

    async fn take(&mut self) -> Result<(), KafkaError> {
        if self.in_hand.is_empty() {
            let batch = self.consumer.next_batch().await?;
            self.in_hand = batch.iter().map(BorrowedMessage::detach).collect();
        }
        Ok(())
    }

    async fn handle(&mut self) -> Result<Handled, StepError> {
        let mut spans = BatchSpans::begin(&self.traces, &self.in_hand);
        let handled = self.handle_in(&mut spans).await;
        if let Err(error) = &handled {
            spans.fail(error);
        }
        handled
    }

    async fn handle_in(&mut self, spans: &mut BatchSpans) -> Result<Handled, StepError> {
        let begun = Instant::now();
        let decoded: Vec<_> = self.in_hand.iter().map(decode).collect();
        let deltas: Vec<_> = decoded.iter().flatten().copied().collect();
        let transaction = spans.transaction();
        let applied = apply(&self.db, &deltas, &self.metrics).await;
        traces::end(transaction, &applied);
        let applied = applied?;
        crash_point("catalog::committed");
        let decisions = in_their_places(&decoded, applied);
        spans.decided(&decoded, &decisions);
        let bad = |decision: &&Decision| matches!(decision, Decision::Bad(_));
        let dead_letters = decisions.iter().filter(bad).count();
        let topic = &self.topics.order_outcomes.name;
        let consumed = self.in_hand.iter().zip(&decisions).enumerate();
        let records: Vec<_> = consumed
            .filter_map(|(at, (record, decision))| {
                outcome(&self.topics, record, decision, || spans.fact(at, topic))
            })
            .collect();
        let facts = records.len() - dead_letters;
        self.producer.send_all(records).await?;
        tell(&self.in_hand, &decoded, &decisions);
        crash_point("catalog::published");
        self.consumer.commit(&self.in_hand);
        self.metrics
            .observe_batch(&decoded, &decisions, begun.elapsed());
        let handled = Handled {
            records: self.in_hand.len(),
            facts,
            dead_letters,
        };
        self.in_hand.clear();
        Ok(handled)
    }
}

/// One line for all of a batch's dead letters: there may be thousands, and each has its reason
/// with it. The others have lines of their own, for who looks so closely.
fn tell(records: &[OwnedMessage], decoded: &[Result<Delta, BadDelta>], decisions: &[Decision]) {
    let mut bad = 0;
    let mut first = None;
    for ((record, delta), decision) in records.iter().zip(decoded).zip(decisions) {
        let of_order = || {
            let trace_parent = record.headers().and_then(received_trace);
            let order_id = delta.as_ref().ok().map(|delta| display(delta.order_id));
            (order_id, trace_parent.map(trace_id))
        };
        if let Decision::Bad(reason) = decision {
            bad += 1;
            first = first.or_else(|| Some((record, reason, of_order())));
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            let (order_id, trace_id) = of_order();
            tracing::debug!(order_id, trace_id, ?decision, "decided");
        }
    }
    if let Some((record, reason, (order_id, trace_id))) = first {
        tracing::warn!(
            records = bad,
            partition = record.partition(),
            offset = record.offset(),
            order_id,
            trace_id,
            // The reason may quote anything.
            reason = ?reason.to_string(),
            "to the dead letters; the first of them"
        );
    }
}

/// One decision per record again: what was no delta was not for `apply`.
fn in_their_places(decoded: &[Result<Delta, BadDelta>], applied: Vec<Decision>) -> Vec<Decision> {
    let mut applied = applied.into_iter();
    let decisions = decoded.iter().filter_map(|record| match record {
        Ok(_) => applied.next(),
        Err(bad) => Some(Decision::Bad(bad.clone())),
    });
    decisions.collect()
}
