use std::collections::BTreeSet;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use rdkafka::error::{KafkaError, KafkaResult};
use tokio_util::sync::CancellationToken;

use super::replay::replayed;
use super::topic::DeadLetterTopic;
use crate::backoff::Backoff;

/// How soon a stop is noticed.
const POLL: Duration = Duration::from_millis(200);

impl DeadLetterTopic {
    /// Keeps `waiting` at the number of letters that nobody has put back, until told to
    /// stop. It blocks.
    pub fn watch(&self, waiting: &Gauge, stop: &CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            if let Err(error) = self.follow(waiting, stop) {
                tracing::debug!(topic = self.name, %error, "dead letters are not counted");
                std::thread::sleep(backoff.next_delay());
            }
        }
    }

    fn follow(&self, waiting: &Gauge, stop: &CancellationToken) -> KafkaResult<()> {
        let consumer = self.consumer()?;
        self.assign(&consumer, &self.beginnings(&consumer)?)?;
        let mut letters = 0_i64;
        let mut put_back = BTreeSet::new();
        while !stop.is_cancelled() {
            match consumer.poll(POLL) {
                Some(Ok(record)) => match replayed(&record) {
                    // One marker per letter; a set costs little and forgives a second.
                    Some((address, _)) => letters -= i64::from(put_back.insert(address)),
                    None => letters += 1,
                },
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                // librdkafka reconnects by itself; readiness is the broker's to tell.
                Some(Err(error)) => tracing::debug!(%error, "dead letters"),
            }
            waiting.set(letters);
        }
        Ok(())
    }
}
