use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaErrorCode;

use super::{KafkaSettings, TopicSettings};

type Admin = AdminClient<DefaultClientContext>;

/// `retention.ms` of every topic.
pub const KEPT_FOR_EVER_MS: i64 = -1;
const TIMEOUT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Broken infrastructure: try again.
    #[error("the broker cannot tell its topics: {0}")]
    Unreachable(#[from] KafkaError),
    #[error("topic `{topic}` cannot be created: {code}")]
    NotCreated {
        topic: String,
        code: RDKafkaErrorCode,
    },
    #[error("topic `{topic}` has partitions without a leader")]
    NoLeader { topic: String },
    /// A wrong setting or a wrong topic: nothing to wait for.
    #[error(
        "topic `{topic}` has {found} partitions, the settings say {wanted}: correct the \
         setting, or move to a new topic (adding partitions would break the order per key)"
    )]
    TooFewPartitions {
        topic: String,
        found: i32,
        wanted: i32,
    },
    #[error(
        "topic `{topic}` has {found} partitions, where the last record of a key needs one: \
         give another topic"
    )]
    SeveralPartitions { topic: String, found: i32 },
    #[error(
        "topic `{topic}` has cleanup.policy={policy}, and would forget what it holds: set it \
         to `compact`"
    )]
    NotCompacted { topic: String, policy: String },
}

impl TopicError {
    /// Whether waiting may help.
    pub fn is_transient(&self) -> bool {
        use RDKafkaErrorCode::{InvalidConfig, InvalidPartitions, InvalidTopic, PolicyViolation};
        match self {
            Self::NotCreated { code, .. } => !matches!(
                code,
                InvalidConfig | InvalidPartitions | InvalidTopic | PolicyViolation
            ),
            Self::Unreachable(_) | Self::NoLeader { .. } => true,
            Self::TooFewPartitions { .. }
            | Self::SeveralPartitions { .. }
            | Self::NotCompacted { .. } => false,
        }
    }
}

/// Creates the topics that are missing, kept for ever, checks the others, and waits until
/// every partition has a leader.
///
/// They must outlive every reader: until the sink has written a record, Kafka holds its
/// only copy.
pub async fn ensure_topics(
    settings: &KafkaSettings,
    topics: &[TopicSettings],
) -> Result<(), TopicError> {
    let admin: Arc<Admin> = Arc::new(settings.client("topics").create()?);
    let existing = known_topics(&admin).await?;
    let missing: Vec<_> = topics
        .iter()
        .filter(|topic| !existing.contains_key(&topic.name))
        .collect();
    let retention = KEPT_FOR_EVER_MS.to_string();
    create(&admin, &missing, ("retention.ms", &retention)).await?;
    for topic in topics {
        match existing.get(&topic.name) {
            Some(known) if known.partitions < topic.partitions => {
                return Err(TopicError::TooFewPartitions {
                    topic: topic.name.clone(),
                    found: known.partitions,
                    wanted: topic.partitions,
                });
            }
            _ => {}
        }
    }
    wait_for_leaders(&admin, topics).await?;
    // Nobody has to wait for a warning.
    tokio::spawn(warn_about_retention(admin, topics.to_vec()));
    Ok(())
}

/// Creates a topic of one partition, if it is missing, that keeps the last record of each
/// key; refuses one that does not.
pub async fn ensure_compacted_topic(
    settings: &KafkaSettings,
    name: &str,
    replication: i32,
) -> Result<(), TopicError> {
    let admin: Arc<Admin> = Arc::new(settings.client("topics").create()?);
    let topic = TopicSettings {
        replication,
        ..TopicSettings::new(name, 1)
    };
    match known_topics(&admin).await?.get(name) {
        None => create(&admin, &[&topic], ("cleanup.policy", "compact")).await?,
        Some(known) if known.partitions > 1 => {
            let (topic, found) = (topic.name, known.partitions);
            return Err(TopicError::SeveralPartitions { topic, found });
        }
        Some(_) => {}
    }
    wait_for_leaders(&admin, std::slice::from_ref(&topic)).await?;
    let topics = std::slice::from_ref(&topic);
    match described(&admin, topics, "cleanup.policy").await.pop() {
        Some(Some(policy)) if policy != "compact" => {
            let topic = topic.name;
            Err(TopicError::NotCompacted { topic, policy })
        }
        _ => Ok(()),
    }
}

/// A property of each topic, as far as the broker tells: the in-process broker has no such
/// request.
async fn described(admin: &Admin, topics: &[TopicSettings], property: &str) -> Vec<Option<String>> {
    let resources: Vec<_> = topics
        .iter()
        .map(|topic| ResourceSpecifier::Topic(&topic.name))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let Ok(described) = admin.describe_configs(&resources, &options).await else {
        return Vec::new();
    };
    described
        .into_iter()
        .map(|resource| resource.ok()?.get(property)?.value.clone())
        .collect()
}

/// A topic as the broker's metadata has it.
#[derive(Default)]
struct Known {
    partitions: i32,
    with_leader: i32,
}

/// A topic is in the metadata before it can be written to.
async fn wait_for_leaders(admin: &Arc<Admin>, topics: &[TopicSettings]) -> Result<(), TopicError> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let known = known_topics(admin).await?;
        let ready = |topic: &&TopicSettings| {
            known
                .get(&topic.name)
                .is_some_and(|known| known.with_leader >= topic.partitions)
        };
        let Some(waiting) = topics.iter().find(|topic| !ready(topic)) else {
            return Ok(());
        };
        if Instant::now() > deadline {
            return Err(TopicError::NoLeader {
                topic: waiting.name.clone(),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn known_topics(admin: &Arc<Admin>) -> Result<BTreeMap<String, Known>, KafkaError> {
    let admin = Arc::clone(admin);
    let read = move || {
        let metadata = admin.inner().fetch_metadata(None, TIMEOUT)?;
        let topics = metadata.topics().iter();
        Ok(topics
            .map(|topic| (topic.name().to_owned(), Known::from(topic)))
            .collect())
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or(Err(KafkaError::Canceled))
}

impl From<&MetadataTopic> for Known {
    fn from(topic: &MetadataTopic) -> Self {
        let mut known = Self::default();
        for partition in topic.partitions() {
            known.partitions += 1;
            known.with_leader += i32::from(partition.leader() >= 0);
        }
        known
    }
}

async fn create(
    admin: &Admin,
    missing: &[&TopicSettings],
    (property, value): (&str, &str),
) -> Result<(), TopicError> {
    if missing.is_empty() {
        return Ok(());
    }
    let topics: Vec<_> = missing
        .iter()
        .map(|topic| {
            let replication = TopicReplication::Fixed(topic.replication);
            NewTopic::new(&topic.name, topic.partitions, replication).set(property, value)
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    for result in admin.create_topics(&topics, &options).await? {
        match result {
            Ok(topic) => tracing::info!(topic, "topic created"),
            // Another instance was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(TopicError::NotCreated { topic, code }),
        }
    }
    Ok(())
}

/// A warning only: whoever shortens the retention of their own topics may know why.
async fn warn_about_retention(admin: Arc<Admin>, topics: Vec<TopicSettings>) {
    let retentions = described(&admin, &topics, "retention.ms").await;
    for (topic, retention) in topics.iter().zip(retentions) {
        if let Some(retention) = retention.filter(|ms| ms != "-1") {
            tracing::warn!(
                topic = topic.name,
                "retention.ms is {retention}: records that nobody has read by then are lost; set it to -1"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_no_broker_would_create_is_not_waited_for() {
        let refused = |code| TopicError::NotCreated {
            topic: "a topic".to_owned(),
            code,
        };
        assert!(!refused(RDKafkaErrorCode::InvalidTopic).is_transient());
        // Brokers that start one after the other may soon be enough.
        assert!(refused(RDKafkaErrorCode::InvalidReplicationFactor).is_transient());
    }
}
