use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::MetadataTopic;
use regex::Regex;
use shared::kafka::{BatchConsumer, BatchLimits, KafkaSettings, set_default};

use super::task::TaskId;
use crate::config::{BATCH_RECORDS, InsertMode, SinkConfig};

const TIMEOUT: Duration = Duration::from_secs(5);
/// As Java's consumer has it for subscriptions by pattern.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// Makes the task a member of the connector's consumer group.
pub(super) fn subscribe(
    kafka: &KafkaSettings,
    task: &TaskId,
    config: &SinkConfig,
    topics: &[String],
) -> KafkaResult<BatchConsumer> {
    let mut client = kafka.consumer(&format!("connector-consumer-{task}"));
    // How long a new topic waits.
    set_default(&mut client, "topic.metadata.refresh.interval.ms", "30000");
    client
        .set("group.id", format!("connect-{}", task.connector))
        // Connect's default.
        .set("isolation.level", "read_uncommitted");
    let mut records = match config.tables.insert_mode {
        InsertMode::Insert | InsertMode::Upsert => BATCH_RECORDS,
        // Each row is a statement: its transaction would hold rows for long.
        InsertMode::Update => BATCH_RECORDS / 4,
    };
    for (key, value) in &config.consumer {
        match key.as_str() {
            "max.poll.records" => records = value.parse().unwrap_or(records),
            key if JAVA_ONLY.contains(&key) => {
                tracing::warn!(key, "consumer.override of Java's client only, ignored");
            }
            key => {
                client.set(java_property(key), java_value(key, value));
            }
        }
    }
    let topics: Vec<_> = topics.iter().map(String::as_str).collect();
    BatchConsumer::subscribe(&client, &topics, BatchLimits::records(records))
}

/// What has no counterpart and no effect on which records come. The commits are ours.
const JAVA_ONLY: [&str; 12] = [
    "auto.commit.interval.ms",
    "default.api.timeout.ms",
    "enable.auto.commit",
    "exclude.internal.topics",
    "interceptor.classes",
    "key.deserializer",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "request.timeout.ms",
    "value.deserializer",
];

/// Java's consumer and librdkafka name most properties alike.
fn java_property(key: &str) -> &str {
    match key {
        "fetch.max.wait.ms" => "fetch.wait.max.ms",
        "receive.buffer.bytes" => "socket.receive.buffer.bytes",
        "send.buffer.bytes" => "socket.send.buffer.bytes",
        same => same,
    }
}

fn java_value<'v>(key: &str, value: &'v str) -> &'v str {
    match (key, value) {
        ("auto.offset.reset", "none") => "error",
        ("partition.assignment.strategy", class) => match class.rsplit('.').next() {
            Some("RangeAssignor") => "range",
            Some("RoundRobinAssignor") => "roundrobin",
            // Librdkafka's group protocols are eager or cooperative as a whole.
            _ => "cooperative-sticky",
        },
        (_, same) => same,
    }
}

/// The topics that are matched now, Kafka's own apart.
pub(super) async fn matching(kafka: &KafkaSettings, regex: &Regex) -> KafkaResult<Vec<String>> {
    let client = kafka.client("connector-topics");
    let regex = regex.clone();
    let list = move || {
        let consumer: BaseConsumer = client.create()?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
        let names = metadata.topics().iter().map(MetadataTopic::name);
        let wanted = names.filter(|name| !INTERNAL.contains(name) && regex.is_match(name));
        let mut wanted: Vec<_> = wanted.map(str::to_owned).collect();
        wanted.sort();
        Ok(wanted)
    };
    let listed = tokio::task::spawn_blocking(list).await;
    listed.unwrap_or_else(|_| Err(KafkaError::Canceled))
}
