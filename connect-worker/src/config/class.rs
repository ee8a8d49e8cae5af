use super::common::CONVERTERS;
use super::reader::ConfigErrors;
use super::suggest::closest;
use super::transforms;
use crate::env::Properties;

/// A connector class this worker can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    DebeziumSink,
    ConfluentSink,
    /// Descends from Confluent's.
    AivenSink,
    ConfluentSource,
    /// Descends from Confluent's.
    AivenSource,
}

/// What Connect's answers call a connector's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Sink,
    Source,
}

const CLASS: &str = "connector.class";

const CLASSES: [(&str, Class); 5] = [
    (
        "io.debezium.connector.jdbc.JdbcSinkConnector",
        Class::DebeziumSink,
    ),
    (
        "io.confluent.connect.jdbc.JdbcSinkConnector",
        Class::ConfluentSink,
    ),
    ("io.aiven.connect.jdbc.JdbcSinkConnector", Class::AivenSink),
    (
        "io.confluent.connect.jdbc.JdbcSourceConnector",
        Class::ConfluentSource,
    ),
    (
        "io.aiven.connect.jdbc.JdbcSourceConnector",
        Class::AivenSource,
    ),
];

/// What this worker can be configured with, in Connect's words.
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    pub class: &'static str,
    pub kind: PluginKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    Sink,
    Source,
    Transformation,
    Converter,
    HeaderConverter,
}

impl Plugin {
    pub fn all() -> impl Iterator<Item = Self> {
        let connectors = CLASSES.map(|(class, of)| Self {
            class,
            kind: match of.kind() {
                Kind::Sink => PluginKind::Sink,
                Kind::Source => PluginKind::Source,
            },
        });
        let converters = |kind| CONVERTERS.map(|class| Self { class, kind });
        let transforms = transforms::CLASSES.map(|class| Self {
            class,
            kind: PluginKind::Transformation,
        });
        connectors
            .into_iter()
            .chain(transforms)
            .chain(converters(PluginKind::Converter))
            .chain(converters(PluginKind::HeaderConverter))
    }
}

impl Class {
    pub fn of(properties: &Properties) -> Result<Self, ConfigErrors> {
        let Some(name) = properties.get(CLASS) else {
            return Err(ConfigErrors::one(
                CLASS,
                "Missing required configuration \"connector.class\" which has no default value.",
            ));
        };
        Self::named(name).ok_or_else(|| unknown(name))
    }

    pub fn named(name: &str) -> Option<Self> {
        let found = CLASSES.iter().find(|(class, _)| *class == name);
        found.map(|(_, class)| *class)
    }

    /// The class that a misspelt name comes closest to.
    pub(super) fn meant_by(properties: &Properties) -> Option<Self> {
        let name = properties.get(CLASS)?;
        let meant = closest(name, CLASSES.map(|(class, _)| class))?;
        let mut classes = CLASSES.iter();
        classes
            .find(|(class, _)| *class == meant)
            .map(|(_, class)| *class)
    }

    /// What a task's configuration says in addition to its connector's.
    pub fn task_properties(self, task: usize) -> Vec<(&'static str, String)> {
        let class = match self {
            Self::DebeziumSink => "io.debezium.connector.jdbc.JdbcSinkConnectorTask",
            Self::ConfluentSink => "io.confluent.connect.jdbc.sink.JdbcSinkTask",
            Self::AivenSink => "io.aiven.connect.jdbc.sink.JdbcSinkTask",
            Self::ConfluentSource => "io.confluent.connect.jdbc.source.JdbcSourceTask",
            Self::AivenSource => "io.aiven.connect.jdbc.source.JdbcSourceTask",
        };
        let mut properties = vec![("task.class", class.to_owned())];
        if self == Self::DebeziumSink {
            properties.push(("task.id", task.to_string()));
        }
        properties
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::DebeziumSink | Self::ConfluentSink | Self::AivenSink => Kind::Sink,
            Self::ConfluentSource | Self::AivenSource => Kind::Source,
        }
    }
}

fn unknown(name: &str) -> ConfigErrors {
    let classes = CLASSES.map(|(class, _)| class);
    let hint =
        closest(name, classes).map_or_else(String::new, |class| format!(", did you mean {class}?"));
    let message = format!(
        "Failed to find any class that implements Connector and which name matches {name}{hint}, \
         available connectors are: {}",
        classes.join(", ")
    );
    ConfigErrors::one(CLASS, message)
}
