use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use serde::{Deserialize, Serialize};

use crate::settings::positive;

/// Properties on which the guarantees rest: settings must not touch them.
const FIXED: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "isolation.level",
    "partitioner",
    "transaction.timeout.ms",
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
pub enum PropertyError {
    #[error(
        "setting `kafka.properties`: `{0}` is fixed by the service and cannot be set{hint}",
        hint = hint(.0)
    )]
    Fixed(String),
    /// In librdkafka's words, which name the property.
    #[error("setting `kafka.properties`: {0}")]
    Refused(String),
}

impl KafkaSettings {
    /// Refuses properties that would break a guarantee, or that librdkafka does not take.
    pub fn validate(&self) -> Result<(), PropertyError> {
        let mut properties = self.client_properties();
        if let Some((name, _)) = properties.find(|(name, _)| FIXED.contains(&name.as_str())) {
            return Err(PropertyError::Fixed(name));
        }
        match self.client("validation").create_native_config() {
            Ok(_) => Ok(()),
            Err(KafkaError::ClientConfig(_, reason, ..)) if needs_tls(&reason) => {
                let hint = "build with `--features tls`";
                Err(PropertyError::Refused(format!("{reason}: {hint}")))
            }
            Err(KafkaError::ClientConfig(_, reason, ..)) => Err(PropertyError::Refused(reason)),
            Err(error) => Err(PropertyError::Refused(error.to_string())),
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

    /// A producer. Every record carries its schema, so batches of them compress well.
    pub fn producer(&self, client_id: &str) -> ClientConfig {
        let mut config = self.client(client_id);
        set_default(&mut config, "compression.type", "lz4");
        config
    }

    fn client_properties(&self) -> impl Iterator<Item = (String, &String)> {
        self.properties
            .iter()
            .map(|(name, value)| (name.replace('_', "."), value))
    }
}

fn hint(property: &str) -> &'static str {
    match property {
        "transaction.timeout.ms" => "; an order-service has `publisher.transaction_timeout_ms`",
        _ => "",
    }
}

fn needs_tls(reason: &str) -> bool {
    cfg!(not(feature = "tls")) && reason.contains("OpenSSL not available")
}

/// The same error without the property's value, which may be a password.
pub(super) fn without_value(error: KafkaError) -> KafkaError {
    match error {
        KafkaError::ClientConfig(code, reason, name, _) => {
            KafkaError::ClientConfig(code, reason, name, "***".to_owned())
        }
        other => other,
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
    #[serde(deserialize_with = "positive")]
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
        let with = |name: &str, value: &str| KafkaSettings {
            properties: [(name.to_owned(), value.to_owned())].into(),
            ..KafkaSettings::default()
        };
        assert!(with("linger.ms", "1").validate().is_ok());
        let refused = |name, value| with(name, value).validate().unwrap_err().to_string();
        let error = refused("enable_auto_commit", "true");
        assert!(error.contains("`enable.auto.commit` is fixed"), "{error}");
        let error = refused("partitioner", "random");
        assert!(error.contains("`partitioner` is fixed"), "{error}");
        let error = refused("transaction.timeout.ms", "1000");
        assert!(
            error.contains("publisher.transaction_timeout_ms"),
            "{error}"
        );
    }

    #[test]
    fn tls_is_taken_where_it_is_built_in_and_asked_for_where_it_is_not() {
        let mut settings = KafkaSettings::default();
        let protocol = ("security.protocol".into(), "SASL_SSL".into());
        settings.properties.extend([protocol]);
        let refused = settings.validate().err().map(|error| error.to_string());
        assert_eq!(refused.is_none(), cfg!(feature = "tls"), "{refused:?}");
        assert!(refused.is_none_or(|error| error.contains("--features tls")));
    }

    #[test]
    fn a_property_that_librdkafka_does_not_know_is_refused_without_its_value() {
        let mut settings = KafkaSettings::default();
        settings
            .properties
            .insert("sasl.pasword".into(), "hunter2".into());
        let error = settings.validate().unwrap_err().to_string();
        assert!(error.contains("sasl.pasword"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let error = settings.client("test").create_native_config().err();
        let error = without_value(error.unwrap()).to_string();
        assert!(error.contains("sasl.pasword"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
