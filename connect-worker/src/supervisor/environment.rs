use shared::kafka::KafkaSettings;
use shared::traces::Traces;
use tokio::runtime::Handle;

use crate::active_topics::ActiveTopics;
use crate::env::{EnvSource, Properties, Resolved};
use crate::sink::SinkMetrics;
use crate::source::OffsetStore;

/// What a connector's tasks are made with.
#[derive(Clone)]
pub struct Environment {
    pub env: EnvSource,
    /// What a connector takes over where it does not say otherwise.
    pub defaults: Properties,
    pub kafka: KafkaSettings,
    pub metrics: SinkMetrics,
    pub traces: Traces,
    pub offsets: OffsetStore,
    pub topics: ActiveTopics,
    /// HTTP handlers run on threads of their own; tasks do not.
    pub runtime: Handle,
}

impl Environment {
    /// A configuration as its tasks read it.
    pub(super) fn resolve(&self, properties: &Properties) -> Resolved {
        self.env.resolve(&completed(properties, &self.defaults))
    }
}

/// As in Connect, a connector that does not name a converter has the worker's, and no word
/// in how that works.
fn completed(properties: &Properties, defaults: &Properties) -> Properties {
    let mut completed = properties.clone();
    for converter in ["key.converter", "value.converter"] {
        if !properties.contains_key(converter) && defaults.contains_key(converter) {
            completed.retain(|key, _| !key.starts_with(converter));
        }
    }
    for (key, value) in defaults {
        let has_own =
            |converter: &str| key.starts_with(converter) && properties.contains_key(converter);
        if !has_own("key.converter") && !has_own("value.converter") {
            completed
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
    }
    completed
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
    const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_connector_has_the_converters_it_names_or_the_workers() {
        let defaults = properties(&[
            ("key.converter", JSON),
            ("key.converter.schemas.enable", "false"),
            ("value.converter", JSON),
            ("value.converter.schemas.enable", "false"),
            ("consumer.override.max.poll.records", "50"),
        ]);
        let connector = properties(&[
            ("key.converter", STRING),
            ("value.converter.schemas.enable", "true"),
            ("consumer.override.max.poll.records", "7"),
        ]);
        let expected = properties(&[
            ("key.converter", STRING),
            ("value.converter", JSON),
            ("value.converter.schemas.enable", "false"),
            ("consumer.override.max.poll.records", "7"),
        ]);
        assert_eq!(completed(&connector, &defaults), expected);
        assert_eq!(completed(&connector, &Properties::new()), connector);
    }
}
