use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use shared::kafka::KafkaSettings;

use crate::welcome::last_words;

const TIMEOUT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);

/// Who reads what; in this order, since the catalog's outcomes are the sink's input.
const READERS: [(&str, &[&str]); 2] = [
    ("catalog-service", &["catalog_deltas"]),
    ("connect-orders-sink", &["orders", "order_outcomes"]),
];

/// Waits, 10 s at most, until the catalog and the sink have handled every record.
pub(crate) async fn readers_at_the_end(kafka: &KafkaSettings) {
    for (group, topics) in READERS {
        let at_the_end = async {
            while !is_at_the_end(kafka, group, topics).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, at_the_end).await.is_err() {
            last_words(&format!(
                "{group} did not get to the end in time; the rest is lost with the broker"
            ));
        }
    }
}

async fn is_at_the_end(
    kafka: &KafkaSettings,
    group: &'static str,
    topics: &'static [&str],
) -> bool {
    let mut config = kafka.consumer("drain");
    config.set("group.id", group);
    let look = move || -> KafkaResult<bool> {
        let consumer: BaseConsumer = config.create()?;
        let mut partitions = TopicPartitionList::new();
        for topic in topics {
            let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
            for partition in metadata
                .topics()
                .iter()
                .flat_map(|topic| topic.partitions())
            {
                partitions.add_partition(topic, partition.id());
            }
        }
        for reached in consumer.committed_offsets(partitions, TIMEOUT)?.elements() {
            let (_, end) =
                consumer.fetch_watermarks(reached.topic(), reached.partition(), TIMEOUT)?;
            if end > 0 && reached.offset() != Offset::Offset(end) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    matches!(tokio::task::spawn_blocking(look).await, Ok(Ok(true)))
}
