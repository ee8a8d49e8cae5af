use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::MetadataTopic;
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
    let extents: Vec<_> = partitions
        .map(|partition| extent(consumer, topic, partition.id(), timeout))
        .collect::<KafkaResult<_>>()?;
    if extents.is_empty() {
        let code = RDKafkaErrorCode::UnknownTopicOrPartition;
        return Err(KafkaError::MetadataFetch(code));
    }
    Ok(extents)
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

/// The metadata names a leader a moment before that broker knows: of a topic that was just
/// created, or after an election.
fn extent(
    consumer: &impl Consumer,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> KafkaResult<Extent> {
    let deadline = Instant::now() + timeout;
    loop {
        match consumer.fetch_watermarks(topic, partition, timeout) {
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotLeaderForPartition))
                if Instant::now() < deadline =>
            {
                std::thread::sleep(ASK_AGAIN_AFTER);
            }
            Err(error) => return Err(error),
            Ok((low, high)) => {
                return Ok(Extent {
                    partition,
                    low,
                    high,
                });
            }
        }
    }
}
