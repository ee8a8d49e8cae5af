use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::ContractError;

/// Splices a payload behind a schema that was serialised once, at compile time.
pub(super) fn encode(prefix: &str, payload: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(prefix.len() + 320);
    bytes.extend_from_slice(prefix.as_bytes());
    serde_json::to_writer(&mut bytes, payload)
        .unwrap_or_else(|error| unreachable!("a payload of plain fields serialises: {error}"));
    bytes.push(b'}');
    bytes
}

/// The payload of an envelope. Our own prefix is recognised without parsing; any other
/// schema with the same fields (another key order, spaces, a Connect source) works too.
fn payload<'a>(prefix: &str, bytes: &'a [u8]) -> Result<&'a [u8], ContractError> {
    if let Some(rest) = bytes.strip_prefix(prefix.as_bytes())
        && let Some(payload) = rest.strip_suffix(b"}")
    {
        return Ok(payload);
    }
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let envelope: Envelope<'a> = serde_json::from_slice(bytes)?;
    Ok(envelope.payload.get().as_bytes())
}

pub(super) fn decode<T: DeserializeOwned>(prefix: &str, bytes: &[u8]) -> Result<T, ContractError> {
    Ok(serde_json::from_slice(payload(prefix, bytes)?)?)
}

/// Connect's `Timestamp`: milliseconds on the wire, [`super::Timestamp`] in the code.
pub(super) mod millis {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::contract::Timestamp;

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(time.millis())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
        let millis = i64::deserialize(d)?;
        Timestamp::from_millis(millis).ok_or_else(|| de::Error::custom("timestamp out of range"))
    }
}
