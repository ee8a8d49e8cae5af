use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};
use shared::kafka::{KafkaSettings, ensure_compacted_topic};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::StoreError;

/// How long a write may take, and the first reading of the topic.
const PATIENCE: Duration = Duration::from_secs(30);

type Rows = BTreeMap<String, Vec<u8>>;

/// A table in a compacted topic of one partition: the last value of each key.
///
/// `open` reads it to its end and goes on following it, so that writes of other processes
/// are seen too; `put` returns once the broker has the value and `rows` tells it. Made for
/// small tables: all of it is in memory. Dropping it ends the reader.
///
/// Two writers of one key overwrite each other: whoever needs more than "the last one
/// wins" must see to it that one process writes.
pub struct CompactedTopic {
    name: String,
    producer: FutureProducer,
    rows: Arc<RwLock<Rows>>,
    /// The offset behind the last record that `rows` holds.
    position: watch::Receiver<i64>,
    _reader: DropGuard,
}

impl std::fmt::Debug for CompactedTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompactedTopic")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl CompactedTopic {
    /// Creates the topic if it is missing and reads it. A transient error may pass: try
    /// again.
    pub async fn open(
        kafka: &KafkaSettings,
        name: &str,
        replication: i32,
    ) -> Result<Self, StoreError> {
        ensure_compacted_topic(kafka, name, replication).await?;
        let producer = kafka
            .client(name)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            .create()?;
        let (at, position) = watch::channel(-1);
        let reader = Reader {
            consumer: consumer(kafka, name)?,
            rows: Arc::default(),
            position: at,
        };
        let rows = Arc::clone(&reader.rows);
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(reader.run()));
        let opened = Self {
            name: name.to_owned(),
            producer,
            rows,
            position,
            _reader: stop.drop_guard(),
        };
        opened.reached(0).await?;
        Ok(opened)
    }

    pub fn rows(&self) -> Rows {
        self.rows.read().clone()
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.rows.read().get(key).cloned()
    }

    /// Writes a value; `None` removes the key.
    pub async fn put(&self, key: &str, value: Option<&[u8]>) -> Result<(), KafkaError> {
        let record = FutureRecord {
            topic: &self.name,
            partition: Some(0),
            payload: value,
            key: Some(key),
            timestamp: None,
            headers: None,
        };
        let sent = self.producer.send(record, Timeout::After(PATIENCE)).await;
        let written = sent.map_err(|(error, _)| error)?;
        self.reached(written.offset + 1).await
    }

    /// Marked as changed with every record that is read.
    pub fn changes(&self) -> watch::Receiver<i64> {
        self.position.clone()
    }

    async fn reached(&self, offset: i64) -> Result<(), KafkaError> {
        let mut position = self.position.clone();
        let reached = position.wait_for(|position| *position >= offset);
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(KafkaError::Canceled),
        }
    }
}

struct Reader {
    consumer: StreamConsumer,
    rows: Arc<RwLock<Rows>>,
    /// -1 until the end has been seen for the first time.
    position: watch::Sender<i64>,
}

impl Reader {
    async fn run(self) {
        let mut next = 0;
        let mut at_end = false;
        loop {
            match self.consumer.recv().await {
                Ok(message) => {
                    next = message.offset() + 1;
                    self.apply(&message);
                }
                Err(KafkaError::PartitionEOF(_)) => at_end = true,
                // librdkafka reconnects by itself.
                Err(error) => tracing::debug!(%error, "compacted topic"),
            }
            if at_end {
                self.position.send_if_modified(|position| {
                    let moved = *position != next;
                    *position = next;
                    moved
                });
            }
        }
    }

    fn apply(&self, message: &impl Message) {
        let Some(key) = message.key() else {
            return; // A compacted topic refuses such a record.
        };
        let key = String::from_utf8_lossy(key).into_owned();
        match message.payload() {
            Some(value) => self.rows.write().insert(key, value.to_vec()),
            None => self.rows.write().remove(&key),
        };
    }
}

fn consumer(kafka: &KafkaSettings, name: &str) -> Result<StreamConsumer, KafkaError> {
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(name, 0, Offset::Beginning)?;
    let consumer: StreamConsumer = kafka
        .consumer(name)
        // It is no member of a group; librdkafka wants a name all the same.
        .set("group.id", name)
        .set("enable.partition.eof", "true")
        // The end is told after an empty fetch, and a start waits for it.
        .set("fetch.wait.max.ms", "100")
        .create()?;
    consumer.assign(&start)?;
    Ok(consumer)
}
