use std::time::Duration;

use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, Producer};

use super::letter::{LetterAddress, last_header};
use super::topic::DeadLetterTopic;
use crate::crash_point;
use crate::kafka::OutRecord;

const MARK: &str = "dlq.replayed";
const TRANSACTION: Duration = Duration::from_secs(10);

/// What a replay found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    Done,
    /// It has been put back before: nothing was written.
    Already,
    /// There is no such letter.
    NotFound,
}

impl DeadLetterTopic {
    /// Puts `record` on its topic in place of the letter at `address`, once for ever.
    ///
    /// The record and the marker that says so are one transaction. The producer's id is
    /// the topic's: who begins settles or fences every replay before it, and only then
    /// looks for a marker, so of any number of instances one writes.
    ///
    /// After an error it may have been done: try again, which is harmless.
    pub async fn replay(&self, address: LetterAddress, record: OutRecord) -> KafkaResult<Replay> {
        self.blocking(move |topic| topic.put_back(address, Some(&record)))
            .await
    }

    /// As [`Self::replay`], for a letter whose record need not be put back any more.
    pub async fn settle(&self, address: LetterAddress) -> KafkaResult<Replay> {
        self.blocking(move |topic| topic.put_back(address, None))
            .await
    }

    fn put_back(&self, address: LetterAddress, record: Option<&OutRecord>) -> KafkaResult<Replay> {
        let producer = self.producer()?;
        producer.init_transactions(TRANSACTION)?;
        match self.look_up(address)? {
            None => return Ok(Replay::NotFound),
            Some(letter) if letter.replayed_at.is_some() => return Ok(Replay::Already),
            Some(_) => {}
        }
        producer.begin_transaction()?;
        for record in record.into_iter().chain([&self.marker(address)]) {
            // The commit waits for all.
            producer
                .send_result(record.into())
                .map_err(|(error, _)| error)?;
        }
        crash_point("replay::sent");
        producer.commit_transaction(TRANSACTION)?;
        crash_point("replay::committed");
        Ok(Replay::Done)
    }

    fn producer(&self) -> KafkaResult<FutureProducer> {
        let id = format!("dead-letters-{}", self.name);
        let mut config = self.kafka.producer(&id);
        config
            .set("transactional.id", &id)
            .set("transaction.timeout.ms", "10000")
            .set("message.timeout.ms", "10000")
            .set("socket.timeout.ms", "10000")
            .create()
    }

    /// Behind the letter, in its partition: whoever reads on from a letter finds it.
    fn marker(&self, address: LetterAddress) -> OutRecord {
        let header = Header {
            key: MARK,
            value: Some(&address.to_string()),
        };
        OutRecord {
            topic: self.name.clone(),
            partition: Some(address.partition),
            key: None,
            payload: None,
            timestamp: None,
            headers: OwnedHeaders::new().insert(header),
        }
    }
}

/// Of which letter this record is the marker, and when it was put back.
pub(super) fn replayed(record: &impl Message) -> Option<(LetterAddress, i64)> {
    // A dead letter of a record that came with such a header has a payload or a reason.
    let mark = match (record.payload(), record.headers()) {
        (None, Some(headers)) if headers.count() == 1 => last_header(record, MARK)?,
        _ => return None,
    };
    let at = record.timestamp().to_millis().unwrap_or_default();
    Some((mark.parse().ok()?, at))
}
