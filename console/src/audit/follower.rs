use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use shared::backoff::Backoff;
use shared::contract::{ContractError, Delta, Order, Outcome};
use shared::kafka::{self, KafkaSettings};
use tokio_util::sync::CancellationToken;

use super::Audit;
use crate::settings::Topics;

/// By what name they are said not to be readable.
const TOPICS: &str = "topics";
const TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a stop is noticed.
const POLL: Duration = Duration::from_millis(200);
/// How often it is made sure that the topics can be read.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// After so many records at once it rests: to fetch many at a time costs the broker far less than
/// to hear of each transaction.
const MANY: usize = 50;
const REST: Duration = Duration::from_millis(100);
/// Where the settings do not say otherwise: while many wait here, no more are fetched, and what
/// has come since fits into one answer.
const FETCH_IN_BURSTS: [(&str, &str); 4] = [
    ("queued.min.messages", "50"),
    ("fetch.queue.backoff.ms", "100"),
    ("fetch.max.bytes", "8388608"),
    ("max.partition.fetch.bytes", "1048576"),
];

/// Reads the three topics as committed, from where they end at the start, on a thread of its
/// own.
pub(crate) struct Follower {
    pub(crate) kafka: KafkaSettings,
    pub(crate) topics: Topics,
    pub(crate) audit: Arc<Audit>,
    pub(crate) stop: CancellationToken,
}

impl Follower {
    pub(crate) fn run(self) {
        let mut backoff = Backoff::default();
        while !self.stop.is_cancelled() {
            let followed = self.follow();
            self.audit.on_read(TOPICS, &followed);
            if let Err(error) = followed {
                tracing::debug!(%error, "the topics cannot be followed yet");
                std::thread::sleep(backoff.next_delay());
            }
        }
    }

    fn follow(&self) -> KafkaResult<()> {
        let mut kafka = self.kafka.clone();
        for (name, value) in FETCH_IN_BURSTS {
            let value = value.to_owned();
            kafka.properties.entry(name.to_owned()).or_insert(value);
        }
        let mut config = kafka.consumer("console");
        // librdkafka wants a name, though no group is joined.
        config.set("group.id", "console");
        let consumer: BaseConsumer = config.create()?;
        // On a connection of its own: a broker answers one request after the other, and a fetch
        // waits for records.
        let lookout: BaseConsumer = config.create()?;
        consumer.assign(&self.ends(&lookout)?)?;
        self.look(&lookout);
        let (mut at_once, mut looked) = (0, Instant::now());
        while !self.stop.is_cancelled() {
            if looked.elapsed() >= LOOK_EVERY {
                self.look(&lookout);
                looked = Instant::now();
            }
            match consumer.poll(if at_once == 0 { POLL } else { Duration::ZERO }) {
                Some(Ok(record)) => {
                    self.on_record(&record);
                    at_once += 1;
                }
                // librdkafka reconnects by itself.
                Some(Err(error)) => tracing::debug!(%error, "audit"),
                None => {
                    if at_once >= MANY {
                        std::thread::sleep(REST);
                    }
                    at_once = 0;
                }
            }
        }
        Ok(())
    }

    /// Whether every partition's leader answers: a frozen one would look like a quiet one.
    fn look(&self, lookout: &BaseConsumer) {
        let ends = self.ends(lookout);
        self.audit.on_read(TOPICS, &ends);
        match ends {
            Ok(_) => self.audit.on_sight(Instant::now()),
            Err(error) => tracing::debug!(%error, "the topics cannot be followed for now"),
        }
    }

    /// Effects before their causes: of what happens meanwhile, a cause without its effect would
    /// look like a violation, an effect without its cause finds it in the database.
    fn ends(&self, lookout: &BaseConsumer) -> KafkaResult<TopicPartitionList> {
        let Topics {
            orders,
            catalog_deltas,
            order_outcomes,
        } = &self.topics;
        kafka::ends(lookout, &[order_outcomes, catalog_deltas, orders], TIMEOUT)
    }

    fn on_record(&self, record: &BorrowedMessage<'_>) {
        // What is no record of the contract becomes a dead letter, and is counted there.
        if let Err(error) = self.decode(record) {
            tracing::debug!(topic = record.topic(), offset = record.offset(), %error, "foreign");
        }
    }

    fn decode(&self, record: &BorrowedMessage<'_>) -> Result<(), ContractError> {
        let value = record.payload().unwrap_or_default();
        if record.topic() == self.topics.orders {
            self.audit.on_order(Order::decode(value)?);
        } else if record.topic() == self.topics.catalog_deltas {
            self.audit.on_delta(Delta::decode(value)?);
        } else {
            self.audit.on_outcome(Outcome::decode(value)?);
        }
        Ok(())
    }
}
