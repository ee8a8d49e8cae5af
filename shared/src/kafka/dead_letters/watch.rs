use std::collections::BTreeSet;

use prometheus_client::metrics::gauge::Gauge;
use rdkafka::consumer::StreamConsumer;
use rdkafka::error::{KafkaError, KafkaResult};
use tokio_util::sync::CancellationToken;

use super::replay::replayed;
use super::topic::DeadLetterTopic;
use crate::backoff::Backoff;

impl DeadLetterTopic {
    /// Keeps `waiting` at the number of letters that nobody has put back, until told to
    /// stop.
    pub async fn watch(&self, waiting: &Gauge, stop: &CancellationToken) {
        let watching = async {
            let mut backoff = Backoff::default();
            loop {
                match self.follower().await {
                    Ok(follower) => count(&follower, waiting).await,
                    Err(error) => {
                        tracing::debug!(topic = self.name, %error, "dead letters are not counted");
                        backoff.wait().await;
                    }
                }
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    async fn follower(&self) -> KafkaResult<StreamConsumer> {
        self.blocking(|topic| {
            let consumer: StreamConsumer = topic.config().create()?;
            topic.assign(&consumer, &topic.beginnings(&consumer)?)?;
            Ok(consumer)
        })
        .await
    }
}

async fn count(consumer: &StreamConsumer, waiting: &Gauge) {
    let mut letters = 0_i64;
    let mut put_back = BTreeSet::new();
    loop {
        match consumer.recv().await {
            Ok(record) => match replayed(&record) {
                // One marker per letter; a set costs little and forgives a second.
                Some((address, _)) => letters -= i64::from(put_back.insert(address)),
                None => letters += 1,
            },
            Err(KafkaError::PartitionEOF(_)) => {}
            // librdkafka reconnects by itself; readiness is the broker's to tell.
            Err(error) => tracing::debug!(%error, "dead letters"),
        }
        waiting.set(letters);
    }
}
