//! `${env:NAME}` placeholders, as Kafka's EnvVarConfigProvider resolves them: a connector's
//! JSON is the same everywhere, and no REST answer shows a password.

use std::collections::{BTreeMap, BTreeSet};

/// A connector's configuration, as written by its author.
pub type Properties = BTreeMap<String, String>;

/// The process environment, with overrides for whoever embeds the worker.
#[derive(Debug, Clone, Default)]
pub struct EnvSource {
    overrides: BTreeMap<String, String>,
}

/// Properties with their placeholders filled in.
#[derive(Debug, PartialEq, Eq)]
pub struct Resolved {
    pub properties: Properties,
    /// Variables that are not set; their placeholders are left as they are.
    pub missing: BTreeSet<String>,
}

impl EnvSource {
    /// The process environment alone.
    pub fn process() -> Self {
        Self::default()
    }

    /// `overrides` win over the process environment.
    pub fn with_overrides(overrides: BTreeMap<String, String>) -> Self {
        Self { overrides }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.overrides
            .get(name)
            .cloned()
            .or_else(|| std::env::var(name).ok())
    }

    pub fn resolve(&self, properties: &Properties) -> Resolved {
        let mut missing = BTreeSet::new();
        let resolved = properties
            .iter()
            .map(|(key, value)| (key.clone(), self.fill(value, &mut missing)))
            .collect();
        Resolved {
            properties: resolved,
            missing,
        }
    }

    fn fill(&self, text: &str, missing: &mut BTreeSet<String>) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, name, after)) = next_placeholder(rest) {
            filled.push_str(before);
            match self.get(name) {
                Some(value) => filled.push_str(&value),
                None => {
                    missing.insert(name.to_owned());
                    filled.push_str(&rest[before.len()..rest.len() - after.len()]);
                }
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// Text before the first placeholder, the variable's name, and text after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, inside) = text.split_once("${env:")?;
    let (name, after) = inside.split_once('}')?;
    Some((before, name, after))
}

/// Whether a value holds a placeholder, and so nothing secret.
pub fn has_placeholder(value: &str) -> bool {
    next_placeholder(value).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> (String, Vec<String>) {
        let overrides = [("HOST", "db"), ("EMPTY", "")];
        let overrides = overrides
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let properties = BTreeMap::from([("key".to_owned(), text.to_owned())]);
        let mut resolved = EnvSource::with_overrides(overrides).resolve(&properties);
        let value = resolved.properties.remove("key").unwrap();
        (value, resolved.missing.into_iter().collect())
    }

    #[test]
    fn placeholders_are_filled_wherever_they_stand() {
        assert_eq!(
            fill("jdbc:mysql://${env:HOST}:3306/${env:HOST}").0,
            "jdbc:mysql://db:3306/db"
        );
        assert_eq!(fill("${env:EMPTY}").0, "");
        assert_eq!(fill("${topic}").0, "${topic}");
        assert_eq!(fill("a${env:HOST").0, "a${env:HOST");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named_and_its_placeholder_left() {
        let (value, missing) = fill("x${env:CONNECT_WORKER_NO_SUCH}y${env:HOST}");
        assert_eq!(value, "x${env:CONNECT_WORKER_NO_SUCH}ydb");
        assert_eq!(missing, ["CONNECT_WORKER_NO_SUCH"]);
    }
}
