//! `transforms` and the keys of each.

use super::reader::Reader;
use super::suggest::closest;
use crate::transforms::{
    EXTRACT_FIELD_OF_KEY, EXTRACT_FIELD_OF_VALUE, Part, REGEX_ROUTER, RegexRouter, TransformRule,
    VALUE_TO_KEY,
};

pub(super) const CLASSES: [&str; 4] = [
    EXTRACT_FIELD_OF_KEY,
    EXTRACT_FIELD_OF_VALUE,
    REGEX_ROUTER,
    VALUE_TO_KEY,
];

pub(super) fn read(reader: &mut Reader<'_>) -> Vec<TransformRule> {
    reader.refuse(&["predicates"]);
    let aliases = reader.list("transforms");
    let mut rules = Vec::with_capacity(aliases.len());
    for (index, alias) in aliases.iter().enumerate() {
        if aliases[..index].contains(alias) {
            reader.invalid("transforms", "Duplicate alias provided.");
            continue;
        }
        rules.extend(rule(reader, &format!("transforms.{alias}")));
    }
    rules
}

/// `None` if there was something wrong, which the reader knows.
fn rule(reader: &mut Reader<'_>, prefix: &str) -> Option<TransformRule> {
    let key = |name: &str| format!("{prefix}.{name}");
    reader.refuse(&[&key("predicate")]);
    reader.refuse_unless(&key("negate"), &["false"]);
    reader.accept(&[&key("plugin.version")]);
    let class = reader.required(&key("type"))?;
    match class {
        VALUE_TO_KEY => value_to_key(reader, prefix),
        EXTRACT_FIELD_OF_KEY => extract_field(reader, prefix, Part::Key),
        EXTRACT_FIELD_OF_VALUE => extract_field(reader, prefix, Part::Value),
        REGEX_ROUTER => router(reader, prefix),
        other => {
            let hint = closest(other, CLASSES)
                .map_or_else(String::new, |class| format!("did you mean {class}? "));
            let problem = format!("{hint}connect-worker has {}", CLASSES.join(", "));
            reader.invalid(&key("type"), &problem);
            None
        }
    }
}

fn value_to_key(reader: &mut Reader<'_>, prefix: &str) -> Option<TransformRule> {
    let key = format!("{prefix}.fields");
    reader.required(&key)?;
    Some(TransformRule::ValueToKey {
        fields: reader.list(&key),
        replace_null_with_default: replace_null(reader, prefix),
    })
}

fn extract_field(reader: &mut Reader<'_>, prefix: &str, part: Part) -> Option<TransformRule> {
    // V2 reads a path in the name.
    reader.refuse_unless(&format!("{prefix}.field.syntax.version"), &["V1"]);
    let replace_null_with_default = replace_null(reader, prefix);
    let field = reader.required(&format!("{prefix}.field"))?;
    Some(TransformRule::ExtractField {
        part,
        field: field.to_owned(),
        replace_null_with_default,
    })
}

fn router(reader: &mut Reader<'_>, prefix: &str) -> Option<TransformRule> {
    let (regex_key, replacement_key) = (format!("{prefix}.regex"), format!("{prefix}.replacement"));
    let regex = reader.required(&regex_key);
    let replacement = reader.required(&replacement_key);
    let router = RegexRouter::new(regex?, replacement?);
    router
        .map_err(|error| reader.invalid(&regex_key, &error.to_string()))
        .map(TransformRule::RegexRouter)
        .ok()
}

fn replace_null(reader: &mut Reader<'_>, prefix: &str) -> bool {
    reader.flag(&format!("{prefix}.replace.null.with.default"), true)
}
