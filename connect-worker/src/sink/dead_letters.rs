use rdkafka::Message;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use shared::kafka::{
    FactProducer, KafkaSettings, OutRecord, TopicError, TopicSettings, ensure_topics,
};

use super::error::{BadRecord, Stage};
use super::task::TaskId;
use crate::config::{DeadLetterRules, SinkConfig};

/// Below the broker's default limit of 1 MiB, with room for headers.
const LARGEST_PAYLOAD: usize = 900_000;
const LONGEST_TEXT: usize = 4_000;

/// Where bad records go, told as Connect tells it.
pub(super) struct DeadLetters {
    rules: DeadLetterRules,
    task: TaskId,
    key_class: &'static str,
    value_class: &'static str,
    kafka: KafkaSettings,
    /// Made when first needed: most tasks never see a bad record.
    producer: Option<FactProducer>,
}

impl DeadLetters {
    pub(super) fn new(
        task: &TaskId,
        config: &SinkConfig,
        rules: DeadLetterRules,
        kafka: &KafkaSettings,
    ) -> Self {
        Self {
            rules,
            task: task.clone(),
            key_class: config.key_converter.class_name(),
            value_class: config.value_converter.class_name(),
            kafka: kafka.clone(),
            producer: None,
        }
    }

    /// Creates the topic if it is missing, one partition as Connect does.
    pub(super) async fn ensure_topic(&self) -> Result<(), TopicError> {
        let topic = TopicSettings {
            name: self.rules.topic.clone(),
            partitions: 1,
            replication: self.rules.replication,
        };
        ensure_topics(&self.kafka, &[topic]).await
    }

    /// Returns once the broker has them all.
    pub(super) async fn send<M: Message>(
        &mut self,
        batch: &[M],
        bad: &[(usize, BadRecord)],
    ) -> Result<(), KafkaError> {
        let letters: Vec<_> = bad
            .iter()
            .filter_map(|(index, reason)| Some(self.letter(batch.get(*index)?, reason)))
            .collect();
        let producer = match &self.producer {
            Some(producer) => producer,
            None => {
                let client = format!("connector-dlq-producer-{}", self.task);
                self.producer
                    .insert(FactProducer::new(&self.kafka, &client)?)
            }
        };
        producer.send_all(&letters).await
    }

    fn letter(&self, message: &impl Message, reason: &BadRecord) -> OutRecord {
        let mut headers = OwnedHeaders::new();
        for header in message.headers().into_iter().flat_map(Headers::iter) {
            headers = headers.insert(header);
        }
        if self.rules.headers {
            headers = self.context(headers, reason);
        }
        let mut payload = message.payload().map(<[u8]>::to_vec);
        if let Some(bytes) = payload
            .as_mut()
            .filter(|bytes| bytes.len() > LARGEST_PAYLOAD)
        {
            let note = format!("{} bytes, cut off at {LARGEST_PAYLOAD}", bytes.len());
            headers = headers.insert(header("__connect.errors.truncated", &note));
            bytes.truncate(LARGEST_PAYLOAD);
        }
        OutRecord {
            topic: self.rules.topic.clone(),
            partition: None,
            key: message.key().map(<[u8]>::to_vec),
            payload,
            headers,
        }
    }

    fn context(&self, headers: OwnedHeaders, reason: &BadRecord) -> OwnedHeaders {
        let class = match reason.stage {
            Stage::Key => self.key_class,
            Stage::Value => self.value_class,
            Stage::Transformation(class) => class,
            Stage::Put => "org.apache.kafka.connect.sink.SinkTask",
        };
        let message = cut(&reason.message, LONGEST_TEXT);
        let trace = format!("{}: {message}", reason.exception);
        headers
            .insert(header("__connect.errors.topic", &reason.topic))
            .insert(header(
                "__connect.errors.partition",
                &reason.partition.to_string(),
            ))
            .insert(header(
                "__connect.errors.offset",
                &reason.offset.to_string(),
            ))
            .insert(header(
                "__connect.errors.connector.name",
                &self.task.connector,
            ))
            .insert(header(
                "__connect.errors.task.id",
                &self.task.number.to_string(),
            ))
            .insert(header("__connect.errors.stage", reason.stage.name()))
            .insert(header("__connect.errors.class.name", class))
            .insert(header(
                "__connect.errors.exception.class.name",
                reason.exception,
            ))
            .insert(header("__connect.errors.exception.message", message))
            .insert(header("__connect.errors.exception.stacktrace", &trace))
    }
}

fn header<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header {
        key,
        value: Some(value),
    }
}

fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}
