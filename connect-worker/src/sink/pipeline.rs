use rdkafka::Message;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use sea_orm::{DatabaseConnection, DbErr};
use shared::contract::OrderId;
use shared::kafka::{KafkaSettings, TopicError, received_trace, trace_id};
use tracing::field::{DisplayValue, display};

use super::dead_letters::DeadLetters;
use super::error::{BadRecord, Stage, TaskError, WriteError};
use super::record::{Row, RowMapper};
use super::task::TaskId;
use super::writer::{Progress, Writer};
use crate::config::{ErrorLog, SinkConfig};

/// From records to committed rows; knows nothing of consumers and retries.
pub struct Pipeline {
    mapper: RowMapper,
    writer: Writer,
    bad: BadRecords,
    log: ErrorLog,
    task: TaskId,
}

/// What is done with records that can never be written.
enum BadRecords {
    /// The first ends the task.
    Fail,
    /// Those that cannot be read are left out. What the database refuses is left out too
    /// only if the log tells of it: somebody must hear of lost rows.
    Skip,
    DeadLetters(Box<DeadLetters>),
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub records: usize,
    pub dead_letters: usize,
}

/// Why a batch is not written yet. It can be written again, from where its progress says.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error(transparent)]
    Task(TaskError),
    /// A statement did not fit its table; the tables are looked at again next time.
    #[error(transparent)]
    Structure(DbErr),
    #[error(transparent)]
    Database(DbErr),
    #[error(transparent)]
    Broker(KafkaError),
}

impl Pipeline {
    pub fn new(
        task: &TaskId,
        config: &SinkConfig,
        db: DatabaseConnection,
        kafka: &KafkaSettings,
    ) -> Self {
        let bad = match (config.errors.tolerate, config.errors.dead_letters.clone()) {
            (false, _) => BadRecords::Fail,
            (true, None) => BadRecords::Skip,
            (true, Some(rules)) => {
                let dead_letters = DeadLetters::new(task, config, rules, kafka);
                BadRecords::DeadLetters(Box::new(dead_letters))
            }
        };
        Self {
            mapper: RowMapper::new(&task.connector, config),
            writer: Writer::new(db, &config.tables),
            bad,
            log: config.errors.log,
            task: task.clone(),
        }
    }

    /// Creates the dead-letter topic, if there is to be one.
    pub(super) async fn ensure_topic(&self) -> Result<(), TopicError> {
        match &self.bad {
            BadRecords::DeadLetters(dead_letters) => dead_letters.ensure_topic().await,
            BadRecords::Fail | BadRecords::Skip => Ok(()),
        }
    }

    /// Once this returns, every record of the batch is in the database or in the
    /// dead-letter topic, or was skipped as the configuration says. `progress` is the batch's
    /// own, over all attempts.
    pub async fn write<M: Message>(
        &mut self,
        batch: &[M],
        progress: &mut Progress,
    ) -> Result<Written, BatchError> {
        let (rows, mut bad) = self.map(batch);
        if let BadRecords::Fail = self.bad
            && let Some((index, bad)) = bad.pop()
        {
            self.tell(batch.get(index), &bad);
            return Err(BatchError::Task(bad.into()));
        }
        if self.finds_refused() {
            self.writer.write_around_bad_rows(&rows, progress).await?;
            bad.extend(refused_rows(batch, progress));
        } else {
            self.write_all_or_none(batch, &rows).await?;
        }
        tell_written(batch, &bad);
        self.report(batch, &bad).await?;
        let dead_letters = match self.bad {
            BadRecords::DeadLetters(_) => bad.len(),
            BadRecords::Fail | BadRecords::Skip => 0,
        };
        Ok(Written {
            records: batch.len(),
            dead_letters,
        })
    }

    /// Whether a record could be written by now: it is, and that is undone. What it needs
    /// of its table is made, as [`Self::write`] would.
    pub async fn rehearse(&mut self, message: &impl Message) -> Result<(), BatchError> {
        let row = self.mapper.row(0, message);
        let Some(row) = row.map_err(|bad| BatchError::Task(bad.into()))? else {
            return Ok(());
        };
        let rehearsed = self.writer.rehearse(&[row]).await;
        rehearsed.map_err(|error| match error {
            WriteError::Data(reason) => BatchError::Task(refused(message, reason).into()),
            error => error.into(),
        })
    }

    /// Whether rows that the database refuses are set aside.
    fn finds_refused(&self) -> bool {
        match self.bad {
            BadRecords::Fail => false,
            BadRecords::Skip => self.log.enabled,
            BadRecords::DeadLetters(_) => true,
        }
    }

    async fn report<M: Message>(
        &mut self,
        batch: &[M],
        bad: &[(usize, BadRecord)],
    ) -> Result<(), BatchError> {
        let Some((index, first)) = bad.first() else {
            return Ok(());
        };
        let (order_id, trace_id) = batch.get(*index).map(order_of).unwrap_or_default();
        for (index, reason) in bad {
            self.tell(batch.get(*index), reason);
        }
        if let BadRecords::DeadLetters(dead_letters) = &mut self.bad {
            tracing::warn!(
                records = bad.len(),
                order_id,
                trace_id,
                %first,
                "records to the dead-letter topic"
            );
            let sent = dead_letters.send(batch, bad).await;
            return sent.map_err(BatchError::of_letters);
        }
        tracing::warn!(records = bad.len(), order_id, trace_id, %first, "records skipped");
        Ok(())
    }

    /// `errors.log.enable`: one line for each.
    fn tell(&self, message: Option<&impl Message>, bad: &BadRecord) {
        if !self.log.enabled {
            return;
        }
        let text =
            |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (order_id, trace_id) = message.map(order_of).unwrap_or_default();
        let message = message.filter(|_| self.log.messages);
        tracing::error!(
            task = %self.task,
            stage = bad.stage.name(),
            topic = bad.topic,
            partition = bad.partition,
            offset = bad.offset,
            order_id,
            trace_id,
            reason = bad.message,
            key = message.and_then(|message| text(message.key())),
            value = message.and_then(|message| text(message.payload())),
            "error encountered in task"
        );
    }

    /// Where a bad record ends the task, nothing after it is wanted.
    fn map<M: Message>(&mut self, batch: &[M]) -> (Vec<Row>, Vec<(usize, BadRecord)>) {
        let mut rows = Vec::with_capacity(batch.len());
        let mut bad = Vec::new();
        for (index, message) in batch.iter().enumerate() {
            match self.mapper.row(index, message) {
                Ok(row) => rows.extend(row),
                Err(reason) => bad.push((index, reason)),
            }
            if matches!(self.bad, BadRecords::Fail) && !bad.is_empty() {
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

    /// From now on writes into this database, which is the same one.
    pub(super) fn reconnect(&mut self, db: DatabaseConnection) {
        self.writer.reconnect(db);
    }

    /// Whether the database answers.
    pub(super) async fn ping(&self) -> Result<(), DbErr> {
        self.writer.ping().await
    }
}

fn refused_rows<M: Message>(
    batch: &[M],
    progress: &Progress,
) -> impl Iterator<Item = (usize, BadRecord)> {
    progress.refused.iter().filter_map(|row| {
        let message = batch.get(row.record)?;
        Some((row.record, refused(message, row.reason.clone())))
    })
}

/// A line for each, for who looks so closely.
fn tell_written<M: Message>(batch: &[M], bad: &[(usize, BadRecord)]) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for (index, message) in batch.iter().enumerate() {
        if bad.iter().all(|(bad, _)| *bad != index) {
            let (order_id, trace_id) = order_of(message);
            tracing::debug!(order_id, trace_id, topic = message.topic(), "written");
        }
    }
}

/// What the log says of a record's order and trace: the pair's records have the order's id as
/// their key.
fn order_of(message: &impl Message) -> (Option<DisplayValue<OrderId>>, Option<&str>) {
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
    let order_id = key.and_then(|key| key.parse().ok()).map(display);
    let trace_parent = message.headers().and_then(received_trace);
    (order_id, trace_parent.map(trace_id))
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

impl BatchError {
    /// A letter that the broker never takes would be sent for ever.
    fn of_letters(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::PolicyViolation
                | RDKafkaErrorCode::TopicAuthorizationFailed,
            ) => Self::Task(TaskError::DeadLetter(error)),
            _ => Self::Broker(error),
        }
    }
}

impl From<WriteError> for BatchError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Data(text) | WriteError::KeyTwice(text) | WriteError::Table(text) => {
                Self::Task(TaskError::Table(text))
            }
            WriteError::Structure(error) => Self::Structure(error),
            WriteError::Infrastructure(error) => Self::Database(error),
        }
    }
}
