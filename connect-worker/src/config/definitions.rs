//! What each connector class's keys are, for who asks before configuring one: programs that
//! draw forms.
//!
//! The tables are those of Connect 4.3 and of the connectors, with shorter documentation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::class::{Class, Kind};
use super::common::JSON_CONVERTER;
use crate::env::Properties;
use crate::transforms::{EXTRACT_FIELD_OF_KEY, EXTRACT_FIELD_OF_VALUE, REGEX_ROUTER, VALUE_TO_KEY};

/// A key, as `ConfigKeyInfo` in Connect's answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub default_value: Option<String>,
    pub importance: String,
    pub documentation: String,
    #[serde(default)]
    pub group: Option<String>,
    /// -1 without a group.
    #[serde(default = "unordered")]
    pub order_in_group: i32,
    pub width: String,
    pub display_name: String,
    #[serde(default)]
    pub dependents: Vec<String>,
}

fn unordered() -> i32 {
    -1
}

const HEADER_CONVERTER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

type Table = LazyLock<Vec<Definition>>;

macro_rules! table {
    ($file:literal) => {
        LazyLock::new(|| read(include_str!(concat!("definitions/", $file))))
    };
}

static COMMON: Table = table!("common.jsonl");
static SINK: Table = table!("sink.jsonl");
static SOURCE: Table = table!("source.jsonl");
static TRANSFORMS: Table = table!("transforms.jsonl");
static DEBEZIUM_SINK: Table = table!("debezium-sink.jsonl");
static CONFLUENT_SINK: Table = table!("confluent-sink.jsonl");
static AIVEN_SINK: Table = table!("aiven-sink.jsonl");
static CONFLUENT_SOURCE: Table = table!("confluent-source.jsonl");
static AIVEN_SOURCE: Table = table!("aiven-source.jsonl");

/// A definition a line.
fn read(lines: &str) -> Vec<Definition> {
    let parse = |line| {
        serde_json::from_str(line)
            .unwrap_or_else(|error| unreachable!("definition {line}: {error}"))
    };
    lines.lines().map(parse).collect()
}

/// The keys of a connector class: its own, then Connect's.
pub fn definitions(class: Class) -> Vec<Definition> {
    let [own, connects] = tables(class);
    own.into_iter().chain(connects).collect()
}

/// The keys of a configuration: Connect's, those of each of its transforms, its class's own.
pub fn definitions_of(class: Class, properties: &Properties) -> Vec<Definition> {
    let [own, mut all] = tables(class);
    for definition in &mut all {
        // What a connector has that does not name its own.
        definition.default_value = match definition.name.as_str() {
            "key.converter" | "value.converter" => Some(JSON_CONVERTER.to_owned()),
            "header.converter" => Some(HEADER_CONVERTER.to_owned()),
            _ => continue,
        };
    }
    let aliases = properties.get("transforms").map_or("", String::as_str);
    let aliases = aliases.split(',').map(str::trim);
    for alias in aliases.filter(|alias| !alias.is_empty()) {
        let class = properties.get(&format!("transforms.{alias}.type"));
        let class = class.map_or("", String::as_str);
        let keys = TRANSFORMS
            .iter()
            .filter(|key| is_of_transform(&key.name, class));
        let of_alias = |key: &Definition| Definition {
            name: format!("transforms.{alias}.{}", key.name),
            group: Some(format!("Transforms: {alias}")),
            display_name: key.display_name.replace("ALIAS", alias),
            ..key.clone()
        };
        all.extend(in_order(keys.map(of_alias), 0));
    }
    all.extend(own);
    all
}

/// Its own, and Connect's.
fn tables(class: Class) -> [Vec<Definition>; 2] {
    let own = match class {
        Class::DebeziumSink => &DEBEZIUM_SINK,
        Class::ConfluentSink => &CONFLUENT_SINK,
        Class::AivenSink => &AIVEN_SINK,
        Class::ConfluentSource => &CONFLUENT_SOURCE,
        Class::AivenSource => &AIVEN_SOURCE,
    };
    let kind = match class.kind() {
        Kind::Sink => &SINK,
        Kind::Source => &SOURCE,
    };
    [
        in_order(own.iter().cloned(), 1),
        in_order(COMMON.iter().chain(kind.iter()).cloned(), 1),
    ]
}

fn is_of_transform(key: &str, class: &str) -> bool {
    let own: &[&str] = match class {
        VALUE_TO_KEY => &["fields", "replace.null.with.default"],
        EXTRACT_FIELD_OF_KEY | EXTRACT_FIELD_OF_VALUE => {
            &["field", "field.syntax.version", "replace.null.with.default"]
        }
        REGEX_ROUTER => &["regex", "replacement"],
        _ => &[],
    };
    let of_all = ["type", "plugin.version", "negate", "predicate"];
    of_all.contains(&key) || own.contains(&key)
}

/// Numbers those of a group that have no number.
fn in_order(definitions: impl Iterator<Item = Definition>, first: i32) -> Vec<Definition> {
    let mut next = BTreeMap::new();
    let number = |mut definition: Definition| {
        if let Some(group) = &definition.group
            && definition.order_in_group == unordered()
        {
            let next = next.entry(group.clone()).or_insert(first);
            definition.order_in_group = *next;
            *next += 1;
        }
        definition
    };
    definitions.map(number).collect()
}
