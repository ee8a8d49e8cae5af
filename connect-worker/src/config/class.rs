use super::reader::ConfigErrors;
use super::suggest::closest;
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

impl Class {
    pub fn of(properties: &Properties) -> Result<Self, ConfigErrors> {
        let Some(name) = properties.get("connector.class") else {
            return Err(ConfigErrors::one(
                "Missing required configuration \"connector.class\" which has no default value.",
            ));
        };
        let found = CLASSES.iter().find(|(class, _)| class == name);
        found.map(|(_, class)| *class).ok_or_else(|| unknown(name))
    }

    /// The class that a misspelt name comes closest to.
    pub(super) fn meant_by(properties: &Properties) -> Option<Self> {
        let name = properties.get("connector.class")?;
        let meant = closest(name, CLASSES.map(|(class, _)| class))?;
        let mut classes = CLASSES.iter();
        classes
            .find(|(class, _)| *class == meant)
            .map(|(_, class)| *class)
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
    ConfigErrors::one(format!(
        "Failed to find any class that implements Connector and which name matches {name}{hint}; \
         available connectors are: {}",
        classes.join(", ")
    ))
}
