use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

/// Properties on which the guarantees rest: settings must not touch them.
const FIXED: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "isolation.level",
    "transactional.id",
];

/// What a consumer has where the settings do not say otherwise.
///
/// Read-ahead is enough to keep a database busy. librdkafka's own would hold 64 MB, and a
/// multiple of that for small or compressed records.
const CONSUMER_DEFAULTS: [(&str, &str); 6] = [
    ("queued.min.messages", "4000"),
    ("queued.max.messages.kbytes", "2048"),
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.max.bytes", "1048576"),
    ("max.partition.fetch.bytes", "262144"),
    // One that is killed gives up its partitions within this time.
    ("session.timeout.ms", "10000"),
];

#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// Any librdkafka property (TLS, SASL, tuning), passed through. In an environment
    /// variable `_` stands for the dot: `…__PROPERTIES__SECURITY_PROTOCOL=SASL_SSL`.
    pub properties: BTreeMap<String, String>,
}

/// Some properties are passwords.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:9092".to_owned(),
            properties: BTreeMap::new(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("setting `kafka.properties`: `{0}` is fixed by the service and cannot be set")]
pub struct PropertyError(String);

impl KafkaSettings {
    /// Refuses properties that would break a guarantee.
    pub fn validate(&self) -> Result<(), PropertyError> {
        match self
            .client_properties()
            .find(|(name, _)| FIXED.contains(&name.as_str()))
        {
            Some((name, _)) => Err(PropertyError(name)),
            None => Ok(()),
        }
    }

    /// The configuration every client starts from.
    pub fn client(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", client_id)
            .set("partitioner", "murmur2_random")
            .set("reconnect.backoff.max.ms", "2000")
            .set("log.connection.close", "false");
        for (name, value) in self.client_properties() {
            config.set(name, value);
        }
        config
    }

    /// A consumer that sees committed records only and loses none: it starts at the
    /// earliest offset and commits only what was handled.
    pub fn consumer(&self, client_id: &str) -> ClientConfig {
        let mut config = self.client(client_id);
        for (name, value) in CONSUMER_DEFAULTS {
            set_default(&mut config, name, value);
        }
        config
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false");
        config
    }

    fn client_properties(&self) -> impl Iterator<Item = (String, &String)> {
        self.properties
            .iter()
            .map(|(name, value)| (name.replace('_', "."), value))
    }
}

/// Sets a property that the settings leave open.
pub fn set_default(config: &mut ClientConfig, name: &str, value: &str) {
    if config.get(name).is_none() {
        config.set(name, value);
    }
}

/// A topic as it should be. Partitions are never added to a live topic: the order of
/// the records of one key would break.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSettings {
    pub name: String,
    pub partitions: i32,
    pub replication: i32,
}

impl TopicSettings {
    pub fn new(name: &str, partitions: i32) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            replication: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_a_guarantee_rests_on_is_refused_by_name() {
        let mut settings = KafkaSettings::default();
        settings.properties.insert("linger.ms".into(), "1".into());
        assert!(settings.validate().is_ok());
        settings
            .properties
            .insert("enable_auto_commit".into(), "true".into());
        let error = settings.validate().unwrap_err().to_string();
        assert!(error.contains("`enable.auto.commit` is fixed"), "{error}");
    }
}
