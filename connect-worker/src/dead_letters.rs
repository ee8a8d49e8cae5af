//! What people do with records that a sink could not write: look at them, and put them back
//! once they can be.

use rdkafka::Timestamp;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use sea_orm::DbErr;
use shared::kafka::{
    DeadLetterTopic, KafkaSettings, Letter, LetterAddress, LetterForm, NotReplayable, OutRecord,
    Replay,
};

use crate::config::{ConnectorConfig, SinkConfig};
use crate::sink::{BatchError, Pipeline, TaskError, TaskId, open_database};

/// A sink's dead letters.
#[derive(Debug, Clone)]
pub struct SinkLetters {
    pub topic: DeadLetterTopic,
    connector: String,
    config: SinkConfig,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Letter(#[from] NotReplayable),
    #[error("it is a dead letter of connector {0}: put it back there")]
    OfAnother(String),
    #[error("it came from topic {0}, which the connector does not read")]
    Foreign(String),
    #[error("it still cannot be written: {0}")]
    Unwritable(String),
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error(transparent)]
    Broker(#[from] KafkaError),
}

impl SinkLetters {
    /// `None` where there is no dead-letter topic.
    pub fn of(connector: &str, config: &ConnectorConfig, kafka: &KafkaSettings) -> Option<Self> {
        let ConnectorConfig::Sink(config) = config else {
            return None;
        };
        let rules = config.errors.dead_letters.as_ref()?;
        Some(Self {
            topic: DeadLetterTopic {
                kafka: kafka.clone(),
                name: rules.topic.clone(),
                form: LetterForm::Connect,
            },
            connector: connector.to_owned(),
            config: config.clone(),
        })
    }

    /// Puts a letter back on the topic it came from, once, and only if the sink could write
    /// it by now: otherwise it would only die again.
    pub async fn replay(&self, address: LetterAddress) -> Result<Replay, ReplayError> {
        let Some(letter) = self.topic.find(address).await? else {
            return Ok(Replay::NotFound);
        };
        if letter.replayed_at.is_some() {
            return Ok(Replay::Already);
        }
        let record = self.original(&letter)?;
        self.rehearse(&letter, &record).await?;
        Ok(self.topic.replay(address, record).await?)
    }

    fn original(&self, letter: &Letter) -> Result<OutRecord, ReplayError> {
        let connector = letter.told("connector.name");
        if let Some(other) = connector.filter(|name| *name != self.connector) {
            return Err(ReplayError::OfAnother(other.to_owned()));
        }
        let record = letter.original()?;
        match self.config.topics.contain(&record.topic) {
            true => Ok(record),
            false => Err(ReplayError::Foreign(record.topic)),
        }
    }

    /// With the offset that it had: the one that it will have is not known.
    async fn rehearse(&self, letter: &Letter, record: &OutRecord) -> Result<(), ReplayError> {
        let offset = letter.told("offset").and_then(|text| text.parse().ok());
        let time = record
            .timestamp
            .map_or(Timestamp::NotAvailable, Timestamp::CreateTime);
        let message = OwnedMessage::new(
            record.payload.clone(),
            record.key.clone(),
            record.topic.clone(),
            time,
            record.partition.unwrap_or_default(),
            offset.unwrap_or_default(),
            Some(record.headers.clone()),
        );
        let task = TaskId {
            connector: self.connector.clone(),
            number: 0,
        };
        let db = open_database(&self.config.database).await?;
        let mut pipeline = Pipeline::new(&task, &self.config, db, &self.topic.kafka);
        Ok(pipeline.rehearse(&message).await?)
    }
}

impl From<BatchError> for ReplayError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Task(TaskError::BadRecord(bad)) => Self::Unwritable(bad.message),
            // Put back, it would end the task.
            BatchError::Task(error) => Self::Unwritable(error.trace()),
            BatchError::Structure(error) => Self::Unwritable(error.to_string()),
            BatchError::Database(error) => Self::Database(error),
            BatchError::Broker(error) => Self::Broker(error),
        }
    }
}
