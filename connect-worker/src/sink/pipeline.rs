use rdkafka::Message;
use rdkafka::error::KafkaError;
use sea_orm::{DatabaseConnection, DbErr};
use shared::kafka::{KafkaSettings, TopicError};

use super::dead_letters::DeadLetters;
use super::error::{BadRecord, Stage, TaskError, WriteError};
use super::record::{Row, RowMapper};
use super::task::TaskId;
use super::writer::Writer;
use crate::config::SinkConfig;

/// From records to committed rows; knows nothing of consumers and retries.
pub struct Pipeline {
    mapper: RowMapper,
    writer: Writer,
    /// `None`: the first bad record ends the task.
    dead_letters: Option<DeadLetters>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub records: usize,
    pub dead_letters: usize,
}

/// Why a batch is not written. Writing it again is always safe.
#[derive(Debug)]
pub enum BatchError {
    Task(TaskError),
    /// A statement did not fit its table; the tables are looked at again next time.
    Structure(DbErr),
    Database(DbErr),
    Broker(KafkaError),
}

impl Pipeline {
    pub fn new(
        task: &TaskId,
        config: &SinkConfig,
        db: DatabaseConnection,
        kafka: &KafkaSettings,
    ) -> Self {
        let rules = config
            .errors
            .dead_letters
            .clone()
            .filter(|_| config.errors.tolerate);
        Self {
            mapper: RowMapper::new(&task.connector, config),
            writer: Writer::new(db, &config.tables),
            dead_letters: rules.map(|rules| DeadLetters::new(task, config, rules, kafka)),
        }
    }

    /// Creates the dead-letter topic, if there is to be one.
    pub(super) async fn ensure_topic(&self) -> Result<(), TopicError> {
        match &self.dead_letters {
            Some(dead_letters) => dead_letters.ensure_topic().await,
            None => Ok(()),
        }
    }

    /// Once this returns, every record of the batch is in the database or in the
    /// dead-letter topic.
    pub async fn write<M: Message>(&mut self, batch: &[M]) -> Result<Written, BatchError> {
        let (rows, mut bad) = self.map(batch);
        match &mut self.dead_letters {
            None => {
                if let Some((_, bad)) = bad.pop() {
                    return Err(BatchError::Task(bad.into()));
                }
                self.write_all_or_none(batch, &rows).await?;
            }
            Some(dead_letters) => {
                bad.extend(write_around_bad_rows(&mut self.writer, batch, &rows).await?);
                if !bad.is_empty() {
                    let first = &bad[0].1;
                    tracing::warn!(records = bad.len(), %first, "records to the dead-letter topic");
                    dead_letters
                        .send(batch, &bad)
                        .await
                        .map_err(BatchError::Broker)?;
                }
            }
        }
        Ok(Written {
            records: batch.len(),
            dead_letters: bad.len(),
        })
    }

    /// Without a dead-letter topic nothing after a bad record is wanted: the first is found
    /// and the rest not looked at.
    fn map<M: Message>(&mut self, batch: &[M]) -> (Vec<Row>, Vec<(usize, BadRecord)>) {
        let mut rows = Vec::with_capacity(batch.len());
        let mut bad = Vec::new();
        for (index, message) in batch.iter().enumerate() {
            match self.mapper.row(index, message) {
                Ok(row) => rows.extend(row),
                Err(reason) => bad.push((index, reason)),
            }
            if !bad.is_empty() && self.dead_letters.is_none() {
                break;
            }
        }
        (rows, bad)
    }

    async fn write_all_or_none<M: Message>(
        &mut self,
        batch: &[M],
        rows: &[Row],
    ) -> Result<(), BatchError> {
        self.writer
            .write(rows)
            .await
            .map_err(|error| match (error, batch.first()) {
                (WriteError::Data(reason), Some(first)) => {
                    let text = format!("in the batch that begins here: {reason}");
                    BatchError::Task(refused(first, text).into())
                }
                (error, _) => error.into(),
            })
    }

    /// Whether the database answers.
    pub(super) async fn ping(&self) -> Result<(), DbErr> {
        self.writer.ping().await
    }
}

async fn write_around_bad_rows<M: Message>(
    writer: &mut Writer,
    batch: &[M],
    rows: &[Row],
) -> Result<Vec<(usize, BadRecord)>, BatchError> {
    let found = writer.write_around_bad_rows(rows).await?;
    let describe = |row: super::writer::Refused| {
        let message = batch.get(row.record)?;
        Some((row.record, refused(message, row.reason)))
    };
    Ok(found.into_iter().filter_map(describe).collect())
}

fn refused(message: &impl Message, reason: String) -> BadRecord {
    BadRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        stage: Stage::Put,
        message: reason,
        exception: "java.sql.SQLException",
    }
}

impl From<WriteError> for BatchError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Data(text) | WriteError::Table(text) => Self::Task(TaskError::Table(text)),
            WriteError::Structure(error) => Self::Structure(error),
            WriteError::Infrastructure(error) => Self::Database(error),
        }
    }
}
