use regex::Regex;

use super::ConnectRecord;

/// Renames a topic that a regular expression matches as a whole.
#[derive(Debug, Clone)]
pub struct RegexRouter {
    regex: Regex,
    /// In the syntax of [`regex::Captures::expand`].
    replacement: String,
}

/// Why a router cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    #[error("Invalid regex: {0}")]
    Regex(String),
    #[error("the replacement names the group {0}, which the regex does not have")]
    NoGroup(String),
    #[error(
        "the replacement ends within a group's name, or has a `$` that names none: write `\\$`"
    )]
    Replacement,
}

impl RegexRouter {
    /// Both as Java writes them: `$1` and `${name}` stand for groups, `\` takes away the
    /// next character's meaning.
    pub fn new(regex: &str, replacement: &str) -> Result<Self, RouterError> {
        let regex = whole(regex).map_err(RouterError::Regex)?;
        let replacement = translate(replacement, &regex)?;
        Ok(Self { regex, replacement })
    }

    pub(super) fn apply(&self, mut record: ConnectRecord) -> ConnectRecord {
        if let Some(topic) = self.route(&record.topic) {
            record.topic = topic;
        }
        record
    }

    fn route(&self, topic: &str) -> Option<String> {
        let captures = self.regex.captures(topic)?;
        let mut routed = String::new();
        captures.expand(&self.replacement, &mut routed);
        Some(routed)
    }
}

/// A regular expression that must match from end to end, as Java's `matches()`. Look-around
/// and back-references, which Java has, are errors.
pub fn whole(regex: &str) -> Result<Regex, String> {
    // By itself first: `a)(b` must not become well-formed.
    let compile = |text: &str| Regex::new(text).map_err(|error| error.to_string());
    compile(regex)?;
    compile(&format!("^(?:{regex})$"))
}

fn translate(java: &str, regex: &Regex) -> Result<String, RouterError> {
    let mut translated = String::with_capacity(java.len());
    let mut rest = java;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            '\\' => {
                let escaped = rest.chars().next().ok_or(RouterError::Replacement)?;
                rest = &rest[escaped.len_utf8()..];
                push_literal(&mut translated, escaped);
            }
            '$' => {
                let (group, after) = group(rest, regex)?;
                translated.push_str("${");
                translated.push_str(group);
                translated.push('}');
                rest = after;
            }
            other => push_literal(&mut translated, other),
        }
    }
    Ok(translated)
}

fn push_literal(text: &mut String, literal: char) {
    if literal == '$' {
        text.push('$');
    }
    text.push(literal);
}

/// The group's name after a `$`, and what follows. Of digits it takes as many as still make
/// a group.
fn group<'r>(rest: &'r str, regex: &Regex) -> Result<(&'r str, &'r str), RouterError> {
    if let Some(named) = rest.strip_prefix('{') {
        let (name, after) = named.split_once('}').ok_or(RouterError::Replacement)?;
        let exists = regex.capture_names().flatten().any(|known| known == name);
        return match exists {
            true => Ok((name, after)),
            false => Err(RouterError::NoGroup(name.to_owned())),
        };
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(RouterError::Replacement);
    }
    let exists = |length: &usize| {
        let number = rest[..*length].parse::<usize>();
        number.is_ok_and(|number| number < regex.captures_len())
    };
    let length = (1..=digits).rev().find(exists);
    length
        .map(|length| rest.split_at(length))
        .ok_or_else(|| RouterError::NoGroup(rest[..1].to_owned()))
}
