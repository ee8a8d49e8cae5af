use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A partition's first offset and the one behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub partition: i32,
    pub low: i64,
    pub high: i64,
}

/// How far each partition of a topic reaches as of now. It blocks.
///
/// A topic without partitions is an error: to follow nothing would look like a quiet topic.
pub fn extents(
    consumer: &impl Consumer,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Vec<Extent>> {
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    let partitions: Vec<_> = partitions.map(MetadataPartition::id).collect();
    if partitions.is_empty() {
        let code = RDKafkaErrorCode::UnknownTopicOrPartition;
        return Err(KafkaError::MetadataFetch(code));
    }
    let ask = |limit| limits(consumer, topic, &partitions, limit, timeout);
    let limits = ask(Offset::Beginning)?.into_iter().zip(ask(Offset::End)?);
    let extent = |(&partition, (low, high))| Extent {
        partition,
        low,
        high,
    };
    Ok(partitions.iter().zip(limits).map(extent).collect())
}

/// Where the partitions of topics end, asked in this order. It blocks.
pub fn ends(
    consumer: &impl Consumer,
    topics: &[&str],
    timeout: Duration,
) -> KafkaResult<TopicPartitionList> {
    let mut ends = TopicPartitionList::new();
    for topic in topics {
        for extent in extents(consumer, topic, timeout)? {
            ends.add_partition_offset(topic, extent.partition, Offset::Offset(extent.high))?;
        }
    }
    Ok(ends)
}

/// The beginnings or the ends of partitions, asked of each broker at once.
///
/// The metadata names a leader a moment before that broker knows: of a topic that was just
/// created, or after an election.
fn limits(
    consumer: &impl Consumer,
    topic: &str,
    partitions: &[i32],
    limit: Offset,
    timeout: Duration,
) -> KafkaResult<Vec<i64>> {
    let deadline = Instant::now() + timeout;
    loop {
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            asked.add_partition_offset(topic, *partition, limit)?;
        }
        match consumer.offsets_for_times(asked, timeout) {
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotLeaderForPartition))
                if Instant::now() < deadline =>
            {
                std::thread::sleep(ASK_AGAIN_AFTER);
            }
            Err(error) => return Err(error),
            Ok(found) => return found.elements().iter().map(offset).collect(),
        }
    }
}

fn offset(found: &TopicPartitionListElem<'_>) -> KafkaResult<i64> {
    match found.offset() {
        Offset::Offset(offset) => Ok(offset),
        _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition)),
    }
}
