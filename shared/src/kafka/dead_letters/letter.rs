use std::fmt;
use std::str::FromStr;

use rdkafka::message::{Headers, Message, OwnedHeaders, OwnedMessage};
use serde::{Deserialize, Serialize};

use crate::kafka::OutRecord;

/// Where a dead letter is in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LetterAddress {
    pub partition: i32,
    pub offset: i64,
}

/// `<partition>-<offset>`, as in a cursor and in the header of a replay's marker.
impl fmt::Display for LetterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.offset)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not `<partition>-<offset>`")]
pub struct BadAddress;

impl FromStr for LetterAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (partition, offset) = text.split_once('-').ok_or(BadAddress)?;
        let address = Self {
            partition: partition.parse().map_err(|_| BadAddress)?,
            offset: offset.parse().map_err(|_| BadAddress)?,
        };
        match address.partition >= 0 && address.offset >= 0 {
            true => Ok(address),
            false => Err(BadAddress),
        }
    }
}

/// A dead letter as it was found.
#[derive(Debug, Clone)]
pub struct Letter {
    pub message: OwnedMessage,
    /// Milliseconds since 1970, if it has been put back.
    pub replayed_at: Option<i64>,
}

impl Letter {
    pub fn address(&self) -> LetterAddress {
        address_of(&self.message)
    }

    /// The last of this name: those before it came with the record from its origin.
    pub fn header(&self, key: &str) -> Option<&str> {
        last_header(&self.message, key)
    }

    /// The record as it was, without the headers that tell of its death.
    pub fn original(&self, topic: &str, partition: i32, prefix: &str) -> OutRecord {
        let mut headers = OwnedHeaders::new();
        for header in self.message.headers().into_iter().flat_map(Headers::iter) {
            if !header.key.starts_with(prefix) {
                headers = headers.insert(header);
            }
        }
        OutRecord {
            topic: topic.to_owned(),
            partition: Some(partition),
            key: self.message.key().map(<[u8]>::to_vec),
            payload: self.message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }
}

pub(super) fn address_of(message: &impl Message) -> LetterAddress {
    LetterAddress {
        partition: message.partition(),
        offset: message.offset(),
    }
}

pub(super) fn last_header<'a>(message: &'a impl Message, key: &str) -> Option<&'a str> {
    let headers = message.headers()?;
    let found = (0..headers.count()).rev().find_map(|at| {
        let header = headers.try_get(at)?;
        (header.key == key).then_some(header.value)
    });
    std::str::from_utf8(found??).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::dead_letter;
    use rdkafka::Timestamp;
    use rdkafka::message::Header;

    #[test]
    fn an_address_reads_as_it_is_written_and_nothing_else_does() {
        let address = LetterAddress {
            partition: 2,
            offset: 41,
        };
        assert_eq!(address.to_string().parse(), Ok(address));
        for bad in ["", "1", "-1-2", "1--2", "a-1", "1-2-3"] {
            assert_eq!(bad.parse::<LetterAddress>(), Err(BadAddress), "{bad}");
        }
    }

    #[test]
    fn the_original_comes_back_without_its_death() {
        let headers = [("h", "v"), ("dlq.topic", "forged")];
        let headers = headers.map(|(key, value)| Header {
            key,
            value: Some(value),
        });
        let headers = headers
            .into_iter()
            .fold(OwnedHeaders::new(), OwnedHeaders::insert);
        let message = |record: OutRecord| {
            OwnedMessage::new(
                record.payload,
                record.key,
                record.topic,
                Timestamp::NotAvailable,
                2,
                42,
                Some(record.headers),
            )
        };
        let source = OutRecord {
            topic: "source".to_owned(),
            partition: None,
            key: Some(b"k".to_vec()),
            payload: Some(b"{}".to_vec()),
            headers,
        };
        let letter = Letter {
            message: message(dead_letter("dlq", &message(source), "broken")),
            replayed_at: None,
        };
        assert_eq!(letter.header("dlq.topic"), Some("source"));
        let original = letter.original("source", 2, "dlq.");
        assert_eq!(original.payload.as_deref(), Some(&b"{}"[..]));
        assert_eq!(original.key.as_deref(), Some(&b"k"[..]));
        let keys: Vec<_> = original.headers.iter().map(|header| header.key).collect();
        assert_eq!(keys, ["h"]);
    }
}
