//! Kafka Connect's JSON envelope, `{"schema":…,"payload":…}`, read and written as Kafka's own
//! JsonConverter 4.3 does it, error texts included: who moves a topic from Kafka Connect
//! to connect-worker, or back, sees the same rows and the same dead letters.
//!
//! The one addition is [`Rules::strict`], which refuses the conversions that the original
//! makes up a value for.

mod bytes;
mod decoder;
mod encoder;
mod payload;
mod schema;
#[cfg(test)]
mod tests;
mod value;

pub use decoder::{Decoder, Record};
pub use encoder::{Encoder, Writing};
pub use payload::Rules;
pub use schema::{Field, Logical, Schema, Type};
pub use value::Value;

/// Why a record cannot be converted. Bad data, every variant.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    // The trailing colon and space are Kafka's; the cause follows in its stack trace.
    #[error("Converting byte[] to Kafka Connect data failed due to serialization error: ")]
    Json(#[from] serde_json::Error),
    #[error(
        "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may \
         not contain additional fields. If you are trying to deserialize plain JSON data, set \
         schemas.enable=false in your converter configuration."
    )]
    NotAnEnvelope,
    /// The schema, or a value that does not keep it; the text is Kafka's.
    #[error("{0}")]
    Data(String),
    #[error(
        "strict conversion refuses {found}{} as {kind}: it would become {becomes}",
        of_field(field)
    )]
    Lossy {
        found: String,
        kind: &'static str,
        becomes: String,
        field: Option<String>,
    },
}

impl ConvertError {
    fn data(text: impl Into<String>) -> Self {
        Self::Data(text.into())
    }

    /// Names the struct field, if a deeper one has not done so.
    fn in_field(mut self, name: &str) -> Self {
        if let Self::Lossy {
            field: field @ None,
            ..
        } = &mut self
        {
            *field = Some(name.to_owned());
        }
        self
    }
}

fn of_field(field: &Option<String>) -> String {
    field
        .as_ref()
        .map_or_else(String::new, |name| format!(" in field \"{name}\""))
}
