use rdkafka::error::KafkaResult;
use shared::kafka::{BatchConsumer, BatchLimits, KafkaSettings, set_default};

use super::task::TaskId;
use crate::config::SinkConfig;

/// Records per batch, and so per transaction.
const BATCH_RECORDS: usize = 1_000;

/// Makes the task a member of the connector's consumer group.
pub(super) fn subscribe(
    kafka: &KafkaSettings,
    task: &TaskId,
    config: &SinkConfig,
) -> KafkaResult<BatchConsumer> {
    let mut client = kafka.consumer(&format!("connector-consumer-{task}"));
    // How long a new topic waits.
    set_default(&mut client, "topic.metadata.refresh.interval.ms", "30000");
    client
        .set("group.id", format!("connect-{}", task.connector))
        // Connect's default.
        .set("isolation.level", "read_uncommitted");
    let mut records = BATCH_RECORDS;
    for (key, value) in &config.consumer {
        match key.as_str() {
            "max.poll.records" => records = value.parse().unwrap_or(records),
            key => {
                client.set(java_property(key), value);
            }
        }
    }
    let topics: Vec<_> = config.topics.iter().map(String::as_str).collect();
    BatchConsumer::subscribe(&client, &topics, BatchLimits::records(records))
}

/// Java's consumer and librdkafka name most properties alike.
fn java_property(key: &str) -> &str {
    match key {
        "fetch.max.wait.ms" => "fetch.wait.max.ms",
        same => same,
    }
}
