use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings::rd_kafka_flush;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use shared::crash_point;
use shared::kafka::{TopicSettings, record_headers, set_default};
use tokio::time::Instant;

use super::Publication;
use crate::PRODUCER;
use crate::settings::{PublisherSettings, Topics};

/// How long one call may block.
const STEP: Duration = Duration::from_millis(500);
/// How long to wait where the local queue is full.
const LOOK: Duration = Duration::from_micros(200);
/// How often to ask whether a partition has its leader back.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Its own thread serves the callbacks, also while no order comes in.
type TransactionalProducer = ThreadedProducer<DefaultProducerContext>;

/// How to open a producer's session with the transaction coordinator.
pub(crate) struct SessionSettings {
    pub(crate) client: ClientConfig,
    /// Of the first producer; the others' begin with it.
    pub(crate) transactional_id: String,
    pub(crate) publisher: PublisherSettings,
    pub(crate) topics: Topics,
}

impl SessionSettings {
    /// Checks the properties without talking to the broker.
    pub(crate) fn validate(&self) -> KafkaResult<()> {
        self.create(0).map(drop)
    }

    fn create(&self, number: usize) -> KafkaResult<TransactionalProducer> {
        let timeout = self.publisher.transaction_timeout_ms.to_string();
        let mut config = self.client.clone();
        // librdkafka refuses a message or socket timeout beyond the transaction's.
        for name in [
            "transaction.timeout.ms",
            "message.timeout.ms",
            "socket.timeout.ms",
        ] {
            set_default(&mut config, name, &timeout);
        }
        config.set("transactional.id", self.id_of(number));
        // Longer than a transaction gathers; its commit begins with a flush.
        set_default(&mut config, "linger.ms", "100");
        config.create()
    }

    fn id_of(&self, number: usize) -> String {
        match number {
            0 => self.transactional_id.clone(),
            _ => format!("{}.{number}", self.transactional_id),
        }
    }

    /// Opens the session of one of the producers. `init_transactions` settles what an earlier one left open.
    pub(super) fn open(&self, number: usize, timeout: Duration) -> KafkaResult<Session<'_>> {
        let producer = self.create(number)?;
        // librdkafka gives up the connection over which it learns who the brokers are, and asks for
        // the coordinator over another one: every half second, unless there is one already. The
        // second request needs it.
        producer
            .client()
            .fetch_metadata(Some(&self.topics.orders.name), timeout)?;
        let writable = writable_partitions(&producer, &self.topics.orders, timeout)?;
        producer.init_transactions(timeout)?;
        Ok(Session {
            settings: self,
            producer,
            writable,
            asked: Instant::now(),
        })
    }
}

/// One producer that has the coordinator's word to be the only one of its id.
pub(super) struct Session<'a> {
    settings: &'a SessionSettings,
    producer: TransactionalProducer,
    /// Partitions of `orders`, as of when the broker was asked.
    writable: Vec<i32>,
    asked: Instant,
}

impl<'a> Session<'a> {
    /// After an error the session is of no use any more: whether the transaction was committed is
    /// for its successor to settle.
    ///
    /// A transaction costs by the partitions it touches, so all of its orders go to one, by turns.
    pub(super) fn begin(&mut self, number: usize) -> KafkaResult<Transaction<'_, 'a>> {
        let partition = self.orders_partition(number);
        self.producer.begin_transaction()?;
        crash_point("order::begun");
        Ok(Transaction {
            session: self,
            partition,
        })
    }

    fn orders_partition(&mut self, number: usize) -> i32 {
        let orders = &self.settings.topics.orders;
        let all = usize::try_from(orders.partitions).unwrap_or(0);
        if self.writable.len() < all && self.asked.elapsed() >= ASK_AGAIN {
            if let Ok(writable) = writable_partitions(&self.producer, orders, STEP) {
                self.writable = writable;
            }
            self.asked = Instant::now();
        }
        let at = number % self.writable.len().max(1);
        self.writable.get(at).copied().unwrap_or(0)
    }
}

/// What is written and committed together.
pub(super) struct Transaction<'s, 'a> {
    session: &'s mut Session<'a>,
    /// Of `orders`.
    partition: i32,
}

impl Transaction<'_, '_> {
    /// The publication's partitions are registered with the coordinator at once; its records
    /// leave with [`Self::commit`] at the latest.
    pub(super) fn send(&self, publication: &Publication, deadline: Instant) -> KafkaResult<()> {
        let topics = &self.session.settings.topics;
        let headers = || record_headers(PRODUCER, &publication.trace_parent);
        if let Some(order) = &publication.order {
            let (key, payload) = (order.id.to_string(), order.encode());
            let record = BaseRecord::to(&topics.orders.name)
                .partition(self.partition)
                .key(&key)
                .payload(&payload)
                .headers(headers());
            self.enqueue(record, deadline)?;
        }
        let (key, payload) = (
            publication.delta.product_id.to_string(),
            publication.delta.encode(),
        );
        let record = BaseRecord::to(&topics.catalog_deltas.name)
            .key(&key)
            .payload(&payload)
            .headers(headers());
        self.enqueue(record, deadline)
    }

    /// Waits where the local queue is full; a batch is never cut short.
    fn enqueue(
        &self,
        mut record: BaseRecord<'_, String, Vec<u8>>,
        deadline: Instant,
    ) -> KafkaResult<()> {
        loop {
            match self.session.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    check(deadline)?;
                    std::thread::sleep(LOOK);
                    record = back;
                }
                Err((error, _)) => return Err(self.fatal_error().unwrap_or(error)),
            }
        }
    }

    /// After it, a record is refused without saying what it was.
    fn fatal_error(&self) -> Option<KafkaError> {
        let (code, _) = self.session.producer.client().fatal_error()?;
        Some(KafkaError::MessageProduction(code))
    }

    pub(super) fn commit(self, deadline: Instant) -> KafkaResult<()> {
        let producer = &self.session.producer;
        crash_point("order::sent");
        while !flush(producer, STEP) {
            check(deadline)?;
        }
        crash_point("order::committing");
        commit_until(producer, deadline)?;
        crash_point("order::committed");
        Ok(())
    }
}

/// A commit that timed out is resumed by the same call.
fn commit_until(producer: &TransactionalProducer, deadline: Instant) -> KafkaResult<()> {
    loop {
        match producer.commit_transaction(STEP) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => check(deadline)?,
            Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => check(deadline)?,
            result => return result,
        }
    }
}

/// Whether the broker has everything. [`Producer::flush`] neither ends the lingering nor notices
/// in less than 100 ms that all has been sent.
#[expect(unsafe_code, reason = "rdkafka has no safe call for it")]
fn flush(producer: &TransactionalProducer, timeout: Duration) -> bool {
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client outlives the call.
    let code = unsafe { rd_kafka_flush(producer.client().native_ptr(), timeout) };
    code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Those with a leader, or all if none has one. Any broker can tell.
fn writable_partitions(
    producer: &TransactionalProducer,
    topic: &TopicSettings,
    timeout: Duration,
) -> KafkaResult<Vec<i32>> {
    let metadata = producer
        .client()
        .fetch_metadata(Some(&topic.name), timeout)?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    let led = partitions.filter(|partition| partition.leader() >= 0);
    let led: Vec<_> = led.map(MetadataPartition::id).collect();
    match led.is_empty() {
        true => Ok((0..topic.partitions).collect()),
        false => Ok(led),
    }
}

fn check(deadline: Instant) -> KafkaResult<()> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut))
}

/// Whether the coordinator has given our id to another producer.
pub(super) fn is_fenced(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(
        error.rdkafka_error_code(),
        Some(Fenced | InvalidProducerEpoch | ProducerFenced)
    )
}
