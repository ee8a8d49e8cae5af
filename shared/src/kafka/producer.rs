use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use super::{KafkaSettings, OutRecord};

/// An idempotent producer of facts: records that may be written again at any time.
#[derive(Clone)]
pub struct FactProducer {
    producer: Arc<ThreadedProducer<Deliveries>>,
}

impl FactProducer {
    pub fn new(settings: &KafkaSettings, client_id: &str) -> Result<Self, KafkaError> {
        let producer = settings
            .producer(client_id)
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .set("message.timeout.ms", "30000")
            .create_with_context(Deliveries)?;
        Ok(Self {
            producer: Arc::new(producer),
        })
    }

    /// Returns once the broker has acknowledged every record. After an error any part
    /// of them may have been written: send all of them again.
    pub async fn send_all(&self, records: Vec<OutRecord>) -> Result<(), KafkaError> {
        let sent = Arc::new(Sent::of(records.len()));
        for record in records {
            self.enqueue(record, &sent).await?;
        }
        sent.acknowledged().await
    }

    /// Waits where the local queue is full: it drains as the broker answers.
    async fn enqueue(&self, record: OutRecord, sent: &Arc<Sent>) -> Result<(), KafkaError> {
        let mut next = BaseRecord {
            topic: &record.topic,
            partition: record.partition,
            payload: record.payload.as_ref(),
            key: record.key.as_ref(),
            timestamp: record.timestamp,
            headers: Some(record.headers),
            delivery_opaque: Arc::clone(sent),
        };
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    next = back;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

/// Records that were sent together, as far as the broker has not answered for them. That is
/// cheaper than a future for each.
struct Sent {
    left: AtomicUsize,
    error: Mutex<Option<KafkaError>>,
    all: Notify,
}

impl Sent {
    fn of(records: usize) -> Self {
        Self {
            left: AtomicUsize::new(records),
            error: Mutex::new(None),
            all: Notify::new(),
        }
    }

    async fn acknowledged(&self) -> Result<(), KafkaError> {
        while self.left.load(Ordering::Acquire) > 0 {
            self.all.notified().await;
        }
        self.error.lock().take().map_or(Ok(()), Err)
    }
}

struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Arc<Sent>) {
        if let Err((error, _)) = result {
            sent.error.lock().get_or_insert_with(|| error.clone());
        }
        if sent.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            sent.all.notify_one();
        }
    }
}
