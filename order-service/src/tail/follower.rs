#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use shared::backoff::Backoff;
use shared::contract::{Order, Outcome, Timestamp};
use shared::http::Dependency;
use shared::kafka::{self, KafkaSettings};
use tokio_util::sync::CancellationToken;

use super::Tail;

const TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a stop is noticed.
const POLL: Duration = Duration::from_millis(200);
/// What ends an attempt that lasted longer is new trouble.
const SETTLED: Duration = Duration::from_secs(30);

/// Follows both topics without a group, on a thread of its own.
pub(crate) struct Follower {
    pub(crate) kafka: KafkaSettings,
    pub(crate) orders: String,
    pub(crate) outcomes: String,
    pub(crate) window: Duration,
    pub(crate) tail: Tail,
    pub(crate) health: Dependency,
    pub(crate) stop: CancellationToken,
}

impl Follower {
    /// Follows until told to stop, starting over after an error.
    pub(crate) fn run(self) -> KafkaResult<()> {
        let mut backoff = Backoff::default();
        while !self.stop.is_cancelled() {
            let begun = Instant::now();
            if let Err(error) = self.follow() {
                self.health.down(error.to_string());
                if begun.elapsed() > SETTLED {
                    backoff.reset();
                }
                self.pause(backoff.next_delay());
            }
        }
        Ok(())
    }

    fn follow(&self) -> KafkaResult<()> {
        let consumer: BaseConsumer = self.client().create()?;
        consumer.assign(&self.start(&consumer)?)?;
        self.health.up();
        while !self.stop.is_cancelled() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => self.on_record(&message),
                Some(Err(error)) if passes(&error) => tracing::debug!(%error, "tail"),
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
        Ok(())
    }

    /// Not into a stop.
    fn pause(&self, delay: Duration) {
        let end = Instant::now() + delay;
        while !self.stop.is_cancelled() && Instant::now() < end {
            std::thread::sleep(POLL.min(delay));
        }
    }

    fn client(&self) -> ClientConfig {
        let mut config = self.kafka.consumer("tail");
        // librdkafka wants a name, though no group is joined.
        config.set("group.id", "tail");
        // Where a topic was cut off, the window's beginning is another one; nobody wants all of it.
        config.set("auto.offset.reset", "error");
        config
    }

    /// Each partition from the window's beginning. Where nothing is that young, from
    /// the end as it was before we asked, so that nothing slips in between.
    fn start(&self, consumer: &BaseConsumer) -> KafkaResult<TopicPartitionList> {
        let ends = kafka::ends(consumer, &[&self.orders, &self.outcomes], TIMEOUT)?;
        let mut times = TopicPartitionList::new();
        let window = i64::try_from(self.window.as_millis()).unwrap_or(0);
        let since = Offset::Offset(Timestamp::now().millis() - window);
        for end in ends.elements() {
            times.add_partition_offset(end.topic(), end.partition(), since)?;
        }
        let mut start = ends.clone();
        for found in consumer.offsets_for_times(times, TIMEOUT)?.elements() {
            if let Offset::Offset(offset) = found.offset() {
                start.set_partition_offset(
                    found.topic(),
                    found.partition(),
                    Offset::Offset(offset),
                )?;
            }
        }
        Ok(start)
    }

    fn on_record(&self, message: &BorrowedMessage<'_>) {
        let record = message.payload().unwrap_or_default();
        let handled = if message.topic() == self.orders {
            Order::decode(record).map(|order| self.tail.on_order(order))
        } else {
            Outcome::decode(record).map(|outcome| self.tail.on_outcome(outcome))
        };
        // Whoever else reads the topic makes a dead letter of it.
        if let Err(error) = handled {
            tracing::debug!(topic = message.topic(), offset = message.offset(), %error, "not followed");
        }
    }
}

/// librdkafka reconnects by itself; readiness is the broker's to tell. A group is not joined,
/// so it may be refused.
fn passes(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        None | Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::GroupAuthorizationFailed
        )
    )
}
