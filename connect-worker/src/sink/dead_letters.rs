use rdkafka::Message;
use rdkafka::error::KafkaError;
use shared::kafka::{
    FactProducer, KafkaSettings, LetterForm, OutRecord, TopicError, TopicSettings,
    dead_letter_with, ensure_topics,
};

use super::error::{BadRecord, Stage};
use super::task::TaskId;
use crate::config::{DeadLetterRules, SinkConfig};

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
        producer.send_all(letters).await
    }

    fn letter(&self, message: &impl Message, reason: &BadRecord) -> OutRecord {
        let class = match reason.stage {
            Stage::Key => self.key_class,
            Stage::Value => self.value_class,
            Stage::Transformation(class) => class,
            Stage::Put => "org.apache.kafka.connect.sink.SinkTask",
        };
        let trace = format!("{}: {}", reason.exception, reason.message);
        let (partition, offset) = (reason.partition.to_string(), reason.offset.to_string());
        let task = self.task.number.to_string();
        let context = [
            ("topic", &*reason.topic),
            ("partition", &*partition),
            ("offset", &*offset),
            ("connector.name", &*self.task.connector),
            ("task.id", &*task),
            ("stage", reason.stage.name()),
            ("class.name", class),
            ("exception.class.name", reason.exception),
            ("exception.message", &*reason.message),
            ("exception.stacktrace", &*trace),
        ];
        let context = match self.rules.headers {
            true => &context[..],
            false => &[],
        };
        dead_letter_with(&self.rules.topic, message, LetterForm::Connect, context)
    }
}
