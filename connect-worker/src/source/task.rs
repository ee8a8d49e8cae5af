use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use shared::connect_json::{Schema, Value};
use shared::kafka::{
    FactProducer, KafkaSettings, OutRecord, TopicError, TopicSettings, ensure_topics,
};
use tokio_util::sync::CancellationToken;

use super::catalog;
use super::offsets::{OffsetStore, Partition};
use super::reader::{Batch, ReadError, Reader};
use super::record::{RecordMaker, record_schema};
use super::relation::Relation;
use crate::active_topics::ActiveTopics;
use crate::config::{SourceConfig, TableSelection};
use crate::dialect::TableName;
use crate::sink::{TaskError, TaskId, is_refusal, open_database};
use crate::store::StoreError;

const BROKER_DELAY: Duration = Duration::from_secs(1);

/// One of a connector's tasks: some of its tables, or its query, and the way to their topics.
pub struct Task {
    id: TaskId,
    config: SourceConfig,
    kafka: KafkaSettings,
    offsets: OffsetStore,
    active: ActiveTopics,
    db: DatabaseConnection,
    producer: FactProducer,
    maker: RecordMaker,
    tables: Vec<Table>,
    look_for_tables: Instant,
    topics: BTreeSet<String>,
}

/// A table, or the query.
struct Table {
    reader: Reader,
    schema: Arc<Schema>,
    partition: Partition,
    topic: String,
    due: Instant,
}

/// Why a round ended early. What it has produced and not stored is produced again.
#[derive(Debug)]
enum Trouble {
    Task(TaskError),
    Database(DbErr),
    Broker(String),
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => Self::Database(error),
            ReadError::Columns { .. } => Self::Task(TaskError::Table(error.to_string())),
            ReadError::Misfit { ref source, .. } => {
                Self::Task(TaskError::Table(format!("{error}, {source}")))
            }
        }
    }
}

impl From<DbErr> for Trouble {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<TopicError> for Trouble {
    fn from(error: TopicError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error.is_transient() {
            true => Self::Broker(error.to_string()),
            false => Self::Task(TaskError::Config(error.to_string())),
        }
    }
}

impl Task {
    /// Connects when first needed.
    pub async fn new(
        id: TaskId,
        config: SourceConfig,
        kafka: &KafkaSettings,
        offsets: OffsetStore,
        active: ActiveTopics,
    ) -> Result<Self, TaskError> {
        let db = open_database(&config.database).await;
        let db = db.map_err(|error| TaskError::of_url(&error))?;
        let producer = FactProducer::new(kafka, &format!("connector-producer-{id}"))?;
        Ok(Self {
            maker: RecordMaker::new(&config),
            id,
            config,
            kafka: kafka.clone(),
            offsets,
            active,
            db,
            producer,
            tables: Vec::new(),
            look_for_tables: Instant::now(),
            topics: BTreeSet::new(),
        })
    }

    /// Until the stop signal, or an error that ends the task.
    pub async fn run(mut self, stop: &CancellationToken) -> Result<(), TaskError> {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let delay = match self.round(stop).await {
                Ok(next) => {
                    failures = 0;
                    next.saturating_duration_since(Instant::now())
                }
                Err(Trouble::Task(error)) => return Err(error),
                Err(Trouble::Broker(error)) => {
                    tracing::warn!(error, "nothing produced yet");
                    // Somebody may have deleted one.
                    self.topics.clear();
                    BROKER_DELAY
                }
                Err(Trouble::Database(source)) => {
                    failures += 1;
                    self.after(failures, source)?
                }
            };
            if stop
                .run_until_cancelled(tokio::time::sleep(delay))
                .await
                .is_none()
            {
                break;
            }
        }
        Ok(())
    }

    /// How long to wait after so many failures in a row.
    fn after(&self, failures: u32, source: DbErr) -> Result<Duration, TaskError> {
        if is_refusal(&source) {
            // The tables may have changed since they were looked at.
            let retry = Ok(Duration::ZERO);
            return if failures > 1 {
                Err(TaskError::Refused(source))
            } else {
                retry
            };
        }
        if failures > self.config.connection.max {
            let attempts = failures;
            return Err(TaskError::Connection { attempts, source });
        }
        tracing::warn!(error = %source, attempts = failures, "no rows to be had");
        Ok(self.config.connection.delay)
    }

    /// Reads each table that is due to its end; when the next one is.
    async fn round(&mut self, stop: &CancellationToken) -> Result<Instant, Trouble> {
        if Instant::now() >= self.look_for_tables {
            self.open_tables().await?;
            self.look_for_tables = Instant::now() + self.config.table_poll_interval;
        }
        let mut tables = std::mem::take(&mut self.tables);
        let mut done = Ok(());
        for table in tables
            .iter_mut()
            .filter(|table| table.due <= Instant::now())
        {
            done = self.read(table, stop).await;
            if done.is_err() || stop.is_cancelled() {
                break;
            }
        }
        self.tables = tables;
        done?;
        let next = self.tables.iter().map(|table| table.due).min();
        Ok(next.map_or(self.look_for_tables, |next| next.min(self.look_for_tables)))
    }

    async fn open_tables(&mut self) -> Result<(), Trouble> {
        let ours = self.relations().await?;
        let stored = self.offsets.of(&self.id.connector).await?;
        self.tables
            .retain(|table| ours.contains(&table.reader.relation));
        for relation in ours {
            let mut known = self.tables.iter();
            if known.any(|table| table.reader.relation == relation) {
                continue;
            }
            let partition = relation.partition();
            let offset = stored.get(&partition).copied();
            let backend = self.db.get_database_backend();
            self.tables.push(Table {
                topic: relation.topic(&self.config.topic_prefix),
                partition,
                schema: record_schema(None, &[]),
                reader: Reader::new(relation, &self.config, backend, offset),
                due: Instant::now(),
            });
        }
        Ok(())
    }

    /// What this task is to read.
    async fn relations(&self) -> Result<Vec<Relation>, Trouble> {
        if let TableSelection::Query(query) = &self.config.tables {
            return Ok(vec![Relation::Query(query.clone())]);
        }
        let all = catalog::tables(&self.db, self.config.kinds).await?;
        let chosen = choose(&all, &self.config.tables).map_err(Trouble::Task)?;
        let is_ours = |table: &TableName| share(table, self.config.tasks_max) == self.id.number;
        let ours = chosen.into_iter().filter(is_ours);
        Ok(ours.map(Relation::Table).collect())
    }

    async fn read(&mut self, table: &mut Table, stop: &CancellationToken) -> Result<(), Trouble> {
        if table.reader.look(&self.db, &self.config).await? {
            let name = table.reader.relation.name();
            table.schema = record_schema(name, &table.reader.columns);
        }
        let mut wait = self.config.poll_interval;
        if table.reader.is_bulk() {
            self.read_everything(table).await?;
        } else {
            loop {
                let batch = table.reader.read(&self.db).await?;
                let (more, held) = (batch.more, batch.held);
                self.produce(table, batch).await?;
                if held {
                    wait = wait.min(self.config.mode.gap_wait);
                }
                if !more || stop.is_cancelled() {
                    break;
                }
            }
        }
        table.due = Instant::now() + wait;
        Ok(())
    }

    async fn read_everything(&mut self, table: &Table) -> Result<(), Trouble> {
        let rows = self.db.query_all_raw(table.reader.everything()).await?;
        for chunk in rows.chunks(self.config.batch_rows) {
            let values = chunk.iter().map(|row| table.reader.values(row));
            let values = values.collect::<Result<_, _>>()?;
            self.send(table, values).await?;
        }
        Ok(())
    }

    /// The offset is stored last: what is not acknowledged is read again.
    async fn produce(&mut self, table: &mut Table, batch: Batch) -> Result<(), Trouble> {
        if batch.rows.is_empty() {
            return Ok(());
        }
        self.send(table, batch.rows).await?;
        let connector = &self.id.connector;
        let stored = self
            .offsets
            .put(connector, &table.partition, Some(batch.offset));
        stored.await?;
        table.reader.advance(batch.offset);
        Ok(())
    }

    /// Returns once the broker has acknowledged every record.
    async fn send(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), Trouble> {
        let mut records: Vec<OutRecord> = Vec::with_capacity(rows.len());
        for row in rows {
            match self.maker.make(&table.topic, &table.schema, row) {
                Ok(record) => records.push(record),
                Err(error) if self.config.tolerate => {
                    tracing::warn!(of = %table.reader.relation, %error, "a row is left out");
                }
                Err(error) => {
                    let text = format!("{}: {error}", table.reader.relation);
                    return Err(Trouble::Task(TaskError::Table(text)));
                }
            }
        }
        self.ensure_topics(&records).await?;
        let topics: BTreeSet<_> = records.iter().map(|record| record.topic.clone()).collect();
        let sent = self.producer.send_all(records).await;
        sent.map_err(|error| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                let text = format!(
                    "{}: a row makes too large a record: {error}",
                    table.reader.relation
                );
                Trouble::Task(TaskError::Table(text))
            }
            _ => Trouble::Broker(error.to_string()),
        })?;
        self.active.add(&self.id.connector, topics);
        Ok(())
    }

    async fn ensure_topics(&mut self, records: &[OutRecord]) -> Result<(), Trouble> {
        let unknown = records.iter().map(|record| &record.topic);
        let unknown: BTreeSet<_> = unknown
            .filter(|topic| !self.topics.contains(*topic))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let settings = |name: &&String| TopicSettings {
            name: (*name).clone(),
            partitions: self.config.partitions,
            replication: self.config.replication,
        };
        let topics: Vec<_> = unknown.iter().map(settings).collect();
        match ensure_topics(&self.kafka, &topics).await {
            // The configuration speaks of those that are created.
            Ok(()) | Err(TopicError::TooFewPartitions { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.topics
            .extend(topics.into_iter().map(|topic| topic.name));
        Ok(())
    }
}

fn choose(all: &[TableName], selection: &TableSelection) -> Result<Vec<TableName>, TaskError> {
    let is = |table: &TableName, name: &str| table.name == name || table.to_string() == name;
    match selection {
        TableSelection::Query(_) => Ok(Vec::new()),
        TableSelection::Named(names) => {
            let mut chosen = Vec::new();
            for name in names {
                let mut found = all.iter().filter(|table| is(table, name));
                match (found.next(), found.next()) {
                    (Some(table), None) => chosen.push(table.clone()),
                    (Some(_), Some(_)) => {
                        return Err(TaskError::Table(format!(
                            "table.whitelist: there are several tables {name}; write schema.{name}"
                        )));
                    }
                    (None, _) => {
                        return Err(TaskError::Table(format!(
                            "table.whitelist: there is no table {name}, or it is not one of table.types"
                        )));
                    }
                }
            }
            Ok(chosen)
        }
        TableSelection::AllBut(names) => {
            let excluded = |table: &&TableName| names.iter().any(|name| is(table, name));
            Ok(all
                .iter()
                .filter(|table| !excluded(table))
                .cloned()
                .collect())
        }
        TableSelection::Matching(patterns) => {
            let matches = |table: &&TableName| {
                let name = table.to_string();
                patterns.iter().any(|pattern| pattern.is_match(&name))
            };
            Ok(all.iter().filter(matches).cloned().collect())
        }
    }
}

/// The task that a table belongs to, whatever other tables there are.
fn share(table: &TableName, tasks: usize) -> usize {
    let name = table.to_string();
    let hash = name.bytes().fold(0_usize, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    hash % tasks.max(1)
}
