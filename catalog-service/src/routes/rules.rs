use shared::http::FieldError;

const LONGEST: usize = 255;

/// Adds an error unless `text` can be shown and stored everywhere.
pub(super) fn check_text(field: &str, text: &str, errors: &mut Vec<FieldError>) {
    let storable = (1..=LONGEST).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(char::is_control);
    if !storable {
        let rule = format!("must be 1 to {LONGEST} characters, not blank, no control characters");
        errors.push(FieldError::new(field, rule));
    }
}

/// Adds an error unless `number` lies within `least` and `most`.
pub(super) fn check_range(
    field: &str,
    number: i64,
    (least, most): (i64, i64),
    errors: &mut Vec<FieldError>,
) {
    if !(least..=most).contains(&number) {
        errors.push(FieldError::new(field, format!("must be {least} to {most}")));
    }
}
