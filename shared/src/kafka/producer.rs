use std::time::Duration;

use futures_util::future;
use rdkafka::error::KafkaError;
use rdkafka::producer::FutureProducer;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::types::RDKafkaErrorCode;

use super::{KafkaSettings, OutRecord};

/// An idempotent producer of facts: records that may be written again at any time.
#[derive(Clone)]
pub struct FactProducer {
    producer: FutureProducer,
}

impl FactProducer {
    pub fn new(settings: &KafkaSettings, client_id: &str) -> Result<Self, KafkaError> {
        let producer = settings
            .client(client_id)
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .set("message.timeout.ms", "30000")
            .create()?;
        Ok(Self { producer })
    }

    /// Returns once the broker has acknowledged every record. After an error any part
    /// of them may have been written: send all of them again.
    pub async fn send_all(&self, records: &[OutRecord]) -> Result<(), KafkaError> {
        let mut deliveries = Vec::with_capacity(records.len());
        for record in records {
            deliveries.push(self.enqueue(record).await?);
        }
        for delivery in future::join_all(deliveries).await {
            match delivery {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(error),
                Err(_) => return Err(KafkaError::Canceled),
            }
        }
        Ok(())
    }

    /// Waits where the local queue is full: it drains as the broker answers.
    async fn enqueue(&self, record: &OutRecord) -> Result<DeliveryFuture, KafkaError> {
        loop {
            match self.producer.send_result(record.into()) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}
