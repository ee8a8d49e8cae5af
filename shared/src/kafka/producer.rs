use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use super::{KafkaSettings, OutRecord, set_default};

type Client = ThreadedProducer<Deliveries>;

/// An idempotent producer of facts: records that may be written again at any time.
#[derive(Clone)]
pub struct FactProducer {
    config: Arc<ClientConfig>,
    client: Arc<Mutex<Arc<Client>>>,
}

impl FactProducer {
    pub fn new(settings: &KafkaSettings, client_id: &str) -> Result<Self, KafkaError> {
        let mut config = settings.producer(client_id);
        config.set("enable.idempotence", "true");
        set_default(&mut config, "linger.ms", "1");
        set_default(&mut config, "message.timeout.ms", "30000");
        let client = config.create_with_context(Deliveries)?;
        Ok(Self {
            config: Arc::new(config),
            client: Arc::new(Mutex::new(Arc::new(client))),
        })
    }

    /// Returns once the broker has acknowledged every record. After an error any part
    /// of them may have been written: send all of them again.
    pub async fn send_all(&self, records: Vec<OutRecord>) -> Result<(), KafkaError> {
        let client = self.living_client()?;
        let sent = Arc::new(Sent::of(records.len()));
        for record in records {
            enqueue(&client, record, &sent).await?;
        }
        sent.acknowledged().await
    }

    /// After a fatal error librdkafka refuses everything, for as long as the client lives. A new
    /// one may succeed: sequence numbers begin again, and rights may have been granted.
    fn living_client(&self) -> Result<Arc<Client>, KafkaError> {
        let mut client = self.client.lock();
        if let Some((code, reason)) = client.client().fatal_error() {
            tracing::warn!(%code, reason, "producer given up, a new one takes over");
            *client = Arc::new(self.config.create_with_context(Deliveries)?);
        }
        Ok(Arc::clone(&client))
    }
}

/// Waits where the local queue is full: it drains as the broker answers.
async fn enqueue(client: &Client, record: OutRecord, sent: &Arc<Sent>) -> Result<(), KafkaError> {
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
        match client.send(next) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                next = back;
            }
            Err((error, _)) => return Err(error),
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

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedHeaders;
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    fn record() -> OutRecord {
        OutRecord {
            topic: "facts".to_owned(),
            partition: None,
            key: None,
            payload: Some(b"{}".to_vec()),
            timestamp: None,
            headers: OwnedHeaders::new(),
        }
    }

    #[tokio::test]
    async fn a_fatal_error_is_not_for_ever() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("facts", 1, 1).unwrap();
        let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refusal]);
        let mut kafka = KafkaSettings {
            bootstrap_servers: cluster.bootstrap_servers(),
            ..KafkaSettings::default()
        };
        let patience = ("message.timeout.ms".to_owned(), "2000".to_owned());
        kafka.properties.extend([patience]);
        let producer = FactProducer::new(&kafka, "test").unwrap();
        assert!(producer.send_all(vec![record()]).await.is_err());
        assert_eq!(producer.send_all(vec![record()]).await, Ok(()));
    }
}
