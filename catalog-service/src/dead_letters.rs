//! What people do with deltas that could not be applied: look at them, and put them back
//! once they can be.

use rdkafka::error::KafkaError;
use sea_orm::{DatabaseConnection, DbErr};
use shared::contract::Delta;
use shared::kafka::{DeadLetterTopic, Letter, LetterAddress, NotReplayable, OutRecord, Replay};

use crate::applier::{BadDelta, Decision, rehearse};

#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub topic: DeadLetterTopic,
    /// The topic that the letters came from.
    pub deltas: String,
    pub db: DatabaseConnection,
}

/// What a replay found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    Now,
    Before,
    /// The ledger has its delta, since another copy of it was applied: it waits no more.
    Applied,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("there is no dead letter at partition {}, offset {}", .0.partition, .0.offset)]
    NotFound(LetterAddress),
    #[error(transparent)]
    Letter(#[from] NotReplayable),
    #[error("it came from topic `{0}`, not from `{1}`")]
    Foreign(String, String),
    #[error("it still cannot be applied: {0}")]
    Bad(#[from] BadDelta),
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error(transparent)]
    Broker(#[from] KafkaError),
}

impl DeadLetters {
    /// Puts a letter back on the topic it came from, once, and only if its delta can be
    /// applied by now: otherwise it would only die again.
    pub async fn replay(&self, address: LetterAddress) -> Result<Replayed, ReplayError> {
        let letter = self.topic.find(address).await?;
        let letter = letter.ok_or(ReplayError::NotFound(address))?;
        if letter.replayed_at.is_some() {
            return Ok(Replayed::Before);
        }
        let record = self.original(&letter)?;
        let value = record.payload.as_deref().unwrap_or_default();
        let delta =
            Delta::decode(value).map_err(|error| BadDelta::Unreadable(error.to_string()))?;
        match rehearse(&self.db, &delta).await? {
            Decision::Bad(bad) => return Err(bad.into()),
            Decision::Repeated(_) => {
                self.topic.settle(address).await?;
                return Ok(Replayed::Applied);
            }
            Decision::Applied(_) => {}
        }
        match self.topic.replay(address, record).await? {
            Replay::Done => Ok(Replayed::Now),
            Replay::Already => Ok(Replayed::Before),
            Replay::NotFound => Err(ReplayError::NotFound(address)),
        }
    }

    fn original(&self, letter: &Letter) -> Result<OutRecord, ReplayError> {
        let record = letter.original()?;
        match record.topic == self.deltas {
            true => Ok(record),
            false => Err(ReplayError::Foreign(record.topic, self.deltas.clone())),
        }
    }
}
