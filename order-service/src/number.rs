use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads any whole number; one beyond 64 bits becomes the nearest `i64`, so that the
/// rule it breaks can name its field instead of a parser complaining.
pub(crate) fn saturating<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_any(WholeNumber)
}

struct WholeNumber;

impl Visitor<'_> for WholeNumber {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        Ok(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        // serde_json hands over integers beyond 64 bits as floats.
        match number {
            n if n.fract() == 0.0 && n >= 9.2e18 => Ok(i64::MAX),
            n if n.fract() == 0.0 && n <= -9.2e18 => Ok(i64::MIN),
            n => Err(E::invalid_type(serde::de::Unexpected::Float(n), &self)),
        }
    }
}
