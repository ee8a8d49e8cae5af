use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::suggest::closest;
use crate::env::Properties;

/// Everything that is wrong with a configuration, in Connect's words where it has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Fault>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key that it is told of.
    pub key: String,
    pub message: String,
}

impl ConfigErrors {
    pub(super) fn one(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![Fault {
            key: key.into(),
            message: message.into(),
        }])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<_> = self.0.iter().map(|fault| fault.message.as_str()).collect();
        f.write_str(&messages.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads properties by key and gathers the faults, so that one answer names them all.
pub(super) struct Reader<'a> {
    properties: &'a Properties,
    known: BTreeSet<String>,
    errors: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(properties: &'a Properties) -> Self {
        Self {
            properties,
            known: BTreeSet::new(),
            errors: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.errors.push(Fault {
            key: key.into(),
            message: message.into(),
        });
    }

    /// A key without a value counts as absent.
    pub(super) fn text(&mut self, key: &str) -> Option<&'a str> {
        self.known.insert(key.to_owned());
        self.properties
            .get(key)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    pub(super) fn required(&mut self, key: &str) -> Option<&'a str> {
        let text = self.text(key);
        if text.is_none() {
            let message =
                format!("Missing required configuration \"{key}\" which has no default value.");
            self.error(key, message);
        }
        text
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(_) => {
                self.invalid(key, "Expected value to be either true or false");
                default
            }
        }
    }

    pub(super) fn number<T: FromStr>(&mut self, key: &str, default: T) -> T {
        let Some(text) = self.text(key) else {
            return default;
        };
        text.parse().unwrap_or_else(|_| {
            self.invalid(key, "Not a number of type INT");
            default
        })
    }

    /// All lower or all upper case, as the connectors accept their enumerations.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some(text) = self.text(key) else {
            return default;
        };
        let found = choices
            .iter()
            .find(|(name, _)| *name == text || name.to_uppercase() == text);
        found.map_or_else(
            || {
                self.invalid(key, "Invalid enumerator");
                default
            },
            |(_, choice)| *choice,
        )
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let items = self.text(key).unwrap_or("").split(',').map(str::trim);
        items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Keys that begin with a prefix, without it.
    pub(super) fn with_prefix(&self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.properties
            .iter()
            .filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// Keys that the original connector has and this worker does not: to ignore one would
    /// write other rows than its author expects.
    pub(super) fn refuse(&mut self, keys: &[&str]) {
        for key in keys {
            self.refuse_unless(key, &[]);
        }
    }

    /// As [`Self::refuse`], but lets pass the values that say what this worker does anyway.
    pub(super) fn refuse_unless(&mut self, key: &str, same: &[&str]) {
        let Some(value) = self.text(key) else { return };
        if !same.iter().any(|same| same.eq_ignore_ascii_case(value)) {
            let message = format!("Configuration \"{key}\" is not supported by connect-worker");
            self.error(key, message);
        }
    }

    /// As [`Self::refuse`], for all keys of a family that have not been read by now.
    pub(super) fn refuse_others(&mut self, prefix: &str) {
        let others = self.properties.keys();
        let others = others.filter(|key| key.starts_with(prefix) && !self.known.contains(*key));
        let others: Vec<_> = others.map(|key| (key.clone(), self.hint(key))).collect();
        for (key, hint) in others {
            let message =
                format!("Configuration \"{key}\" is not supported by connect-worker{hint}");
            self.error(&key, message);
            self.known.insert(key);
        }
    }

    /// Keys that change nothing here, so that nobody is warned of them.
    pub(super) fn accept(&mut self, keys: &[&str]) {
        for key in keys {
            self.text(key);
        }
    }

    pub(super) fn invalid(&mut self, key: &str, problem: &str) {
        let value = self.text(key).unwrap_or("");
        let message = format!("Invalid value {value} for configuration {key}: {problem}");
        self.error(key, message);
    }

    /// Keys that nobody asked for, each with the key it may have been meant to be.
    pub(super) fn unknown(&self) -> Vec<String> {
        let is_known =
            |key: &str| self.known.contains(key) || key.starts_with("consumer.override.");
        self.properties
            .keys()
            .filter(|key| !is_known(key))
            .map(|key| format!("{key}{}", self.hint(key)))
            .collect()
    }

    fn hint(&self, key: &str) -> String {
        let meant = closest(key, self.known.iter().map(String::as_str));
        meant.map_or_else(String::new, |meant| format!(" (did you mean {meant}?)"))
    }

    /// An unknown key is only warned about, as in Connect; beside an error it is named too,
    /// since it may be the cause.
    pub(super) fn finish<T>(self, parsed: Option<T>) -> Result<T, ConfigErrors> {
        let unknown = self.unknown();
        if self.errors.is_empty()
            && let Some(parsed) = parsed
        {
            if !unknown.is_empty() {
                tracing::warn!(
                    keys = unknown.join(", "),
                    "unknown connector configuration ignored"
                );
            }
            return Ok(parsed);
        }
        let mut errors = self.errors;
        let misspelt = unknown
            .into_iter()
            .filter(|key| key.contains("did you mean"));
        errors.extend(misspelt.map(|hint| Fault {
            key: hint.split(' ').next().unwrap_or_default().to_owned(),
            message: format!("Unknown configuration {hint}"),
        }));
        Err(ConfigErrors(errors))
    }
}
