use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::form::LetterForm;
use super::letter::{Letter, LetterAddress, address_of};
use super::replay::replayed;
use crate::kafka::{KafkaSettings, extents};

pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// A dead-letter topic as a person reads it.
///
/// It is its own only store: that a letter was put back is a record too, a marker behind
/// it in its partition. So a look at a letter reads its partition to the end.
#[derive(Debug, Clone)]
pub struct DeadLetterTopic {
    pub kafka: KafkaSettings,
    pub name: String,
    pub form: LetterForm,
}

impl DeadLetterTopic {
    /// The letters behind `after`, partition by partition, oldest first.
    pub async fn page(
        &self,
        after: Option<LetterAddress>,
        limit: usize,
    ) -> KafkaResult<Vec<Letter>> {
        self.blocking(move |topic| topic.read_page(after, limit))
            .await
    }

    /// `None` where no letter is.
    pub async fn find(&self, address: LetterAddress) -> KafkaResult<Option<Letter>> {
        self.blocking(move |topic| topic.look_up(address)).await
    }

    /// librdkafka blocks in most of what is done here.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        let topic = self.clone();
        tokio::task::spawn_blocking(move || work(&topic))
            .await
            .unwrap_or(Err(KafkaError::Canceled))
    }

    fn read_page(&self, after: Option<LetterAddress>, limit: usize) -> KafkaResult<Vec<Letter>> {
        let consumer = self.consumer()?;
        let mut starts = self.beginnings(&consumer)?;
        if let Some(after) = after {
            starts.retain(|start| start.partition >= after.partition);
            for start in &mut starts {
                if start.partition == after.partition {
                    start.offset = start.offset.max(after.offset + 1);
                }
            }
        }
        let mut letters = BTreeMap::new();
        let mut replays = BTreeMap::new();
        self.scan(&consumer, &starts, |record| {
            if let Some((address, at)) = replayed(record) {
                replays.entry(address).or_insert(at);
                return;
            }
            let address = address_of(record);
            let full = letters.len() >= limit;
            let is_behind = |(last, _): (&LetterAddress, _)| *last < address;
            if full && letters.last_key_value().is_none_or(is_behind) {
                return;
            }
            letters.insert(address, record.detach());
            if full {
                letters.pop_last();
            }
        })?;
        let letters = letters.into_iter().map(|(address, message)| Letter {
            message,
            replayed_at: replays.get(&address).copied(),
            form: self.form,
        });
        Ok(letters.collect())
    }

    pub(super) fn look_up(&self, address: LetterAddress) -> KafkaResult<Option<Letter>> {
        let consumer = self.consumer()?;
        let beginnings = self.beginnings(&consumer)?;
        let is_home = |start: &LetterAddress| {
            start.partition == address.partition && start.offset <= address.offset
        };
        if !beginnings.iter().any(is_home) {
            return Ok(None);
        }
        let mut letter = None;
        let mut replayed_at = None;
        self.scan(&consumer, &[address], |record| match replayed(record) {
            Some((of, at)) if of == address => replayed_at = replayed_at.or(Some(at)),
            Some(_) => {}
            None if address_of(record) == address => letter = Some(record.detach()),
            None => {}
        })?;
        Ok(letter.map(|message| Letter {
            message,
            replayed_at,
            form: self.form,
        }))
    }

    fn consumer(&self) -> KafkaResult<BaseConsumer> {
        self.config().create()
    }

    pub(super) fn config(&self) -> ClientConfig {
        let mut config = self.kafka.consumer("dead-letters");
        // librdkafka wants a name, though no group is joined.
        config
            .set("group.id", "dead-letters")
            .set("enable.partition.eof", "true");
        config
    }

    /// The first address of every partition.
    pub(super) fn beginnings(&self, consumer: &impl Consumer) -> KafkaResult<Vec<LetterAddress>> {
        let extents = extents(consumer, &self.name, TIMEOUT)?;
        let mut beginnings: Vec<_> = extents
            .into_iter()
            .map(|extent| LetterAddress {
                partition: extent.partition,
                offset: extent.low,
            })
            .collect();
        beginnings.sort();
        Ok(beginnings)
    }

    pub(super) fn assign(
        &self,
        consumer: &impl Consumer,
        starts: &[LetterAddress],
    ) -> KafkaResult<()> {
        let mut assignment = TopicPartitionList::new();
        for start in starts {
            let offset = Offset::Offset(start.offset);
            assignment.add_partition_offset(&self.name, start.partition, offset)?;
        }
        consumer.assign(&assignment)
    }

    /// Reads each of the partitions to its end as of now.
    fn scan(
        &self,
        consumer: &BaseConsumer,
        starts: &[LetterAddress],
        mut each: impl FnMut(&BorrowedMessage<'_>),
    ) -> KafkaResult<()> {
        self.assign(consumer, starts)?;
        let mut open: BTreeSet<_> = starts.iter().map(|start| start.partition).collect();
        let mut problem = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        while !open.is_empty() {
            match consumer.poll(TIMEOUT) {
                Some(Ok(record)) if open.contains(&record.partition()) => each(&record),
                Some(Ok(_)) => {}
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                // librdkafka reconnects by itself, within reason.
                Some(Err(error)) => problem = error,
                None => return Err(problem),
            }
        }
        Ok(())
    }
}
