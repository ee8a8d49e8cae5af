use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use shared::crash_point;
use shared::kafka::{TopicSettings, record_headers, set_default};
use tokio::time::Instant;

use super::Publication;
use crate::PRODUCER;
use crate::settings::{PublisherSettings, Topics};

/// How long one commit call may block.
const STEP: Duration = Duration::from_millis(500);
/// How long to wait before looking again whether the broker has everything. A call to
/// `poll` would block for its whole timeout, whatever arrives meanwhile.
const LOOK: Duration = Duration::from_micros(200);
/// How often to ask whether a partition has its leader back.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Its own thread serves the callbacks, also while no order comes in.
type TransactionalProducer = ThreadedProducer<DefaultProducerContext>;

/// How to open a producer's session with the transaction coordinator.
pub(crate) struct SessionSettings {
    pub(crate) client: ClientConfig,
    pub(crate) transactional_id: String,
    pub(crate) publisher: PublisherSettings,
    pub(crate) topics: Topics,
}

impl SessionSettings {
    /// Checks the properties without talking to the broker.
    pub(crate) fn validate(&self) -> KafkaResult<()> {
        self.create().map(drop)
    }

    fn create(&self) -> KafkaResult<TransactionalProducer> {
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
        config.set("transactional.id", &self.transactional_id);
        // The batch is complete before the first record is handed over.
        set_default(&mut config, "linger.ms", "0");
        config.create()
    }

    /// Opens a session. `init_transactions` settles what an earlier one left open.
    pub(super) fn open(&self, timeout: Duration) -> KafkaResult<Session<'_>> {
        let producer = self.create()?;
        // Once connected to a broker, librdkafka asks for the coordinator at once; until
        // then every half second. This request needs that connection.
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

impl Session<'_> {
    /// Writes the publications in one transaction. After an error the session is of no use any
    /// more: whether the transaction was committed is for its successor to settle.
    ///
    /// A transaction costs by the partitions it touches, so all of its orders go to one, by turns.
    pub(super) fn commit(
        &mut self,
        publications: &[&Publication],
        turn: usize,
        deadline: Instant,
    ) -> KafkaResult<()> {
        let partition = self.orders_partition(turn);
        self.producer.begin_transaction()?;
        crash_point("order::begun");
        for publication in publications {
            self.send(publication, partition, deadline)?;
        }
        crash_point("order::sent");
        // `commit_transaction` would flush in steps of 100 ms.
        while self.producer.in_flight_count() > 0 {
            check(deadline)?;
            std::thread::sleep(LOOK);
        }
        crash_point("order::committing");
        self.commit_until(deadline)?;
        crash_point("order::committed");
        Ok(())
    }

    fn orders_partition(&mut self, turn: usize) -> i32 {
        let orders = &self.settings.topics.orders;
        let all = usize::try_from(orders.partitions).unwrap_or(0);
        if self.writable.len() < all && self.asked.elapsed() >= ASK_AGAIN {
            if let Ok(writable) = writable_partitions(&self.producer, orders, STEP) {
                self.writable = writable;
            }
            self.asked = Instant::now();
        }
        let at = turn % self.writable.len().max(1);
        self.writable.get(at).copied().unwrap_or(0)
    }

    fn send(
        &self,
        publication: &Publication,
        partition: i32,
        deadline: Instant,
    ) -> KafkaResult<()> {
        let topics = &self.settings.topics;
        let headers = || record_headers(PRODUCER, &publication.trace_parent);
        if let Some(order) = &publication.order {
            let (key, payload) = (order.id.to_string(), order.encode());
            let record = BaseRecord::to(&topics.orders.name)
                .partition(partition)
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
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    check(deadline)?;
                    std::thread::sleep(LOOK);
                    record = back;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// A commit that timed out is resumed by the same call.
    fn commit_until(&self, deadline: Instant) -> KafkaResult<()> {
        loop {
            match self.producer.commit_transaction(STEP) {
                Err(KafkaError::Transaction(error)) if error.is_retriable() => check(deadline)?,
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => check(deadline)?,
                result => return result,
            }
        }
    }
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
