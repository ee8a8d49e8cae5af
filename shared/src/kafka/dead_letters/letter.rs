use std::fmt;
use std::str::FromStr;

use rdkafka::message::{Headers, Message, OwnedHeaders, OwnedMessage};
use serde::{Deserialize, Serialize};

use super::form::LetterForm;
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
    pub form: LetterForm,
}

/// Why a letter cannot become the record again that it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayable {
    #[error("only a part of it is kept ({0}): send the record anew from its source")]
    Truncated(String),
    #[error("its headers do not say which topic and partition it came from")]
    Placeless,
}

impl Letter {
    pub fn address(&self) -> LetterAddress {
        address_of(&self.message)
    }

    pub fn reason(&self) -> Option<&str> {
        self.told(self.form.reason())
    }

    /// A header of its death, named without the form's prefix; the last of this name: those
    /// before it came with the record from its origin.
    pub fn told(&self, name: &str) -> Option<&str> {
        last_header(&self.message, &self.form.header(name))
    }

    /// The record as it was, for the place it came from.
    pub fn original(&self) -> Result<OutRecord, NotReplayable> {
        if let Some(note) = self.told("truncated") {
            return Err(NotReplayable::Truncated(note.to_owned()));
        }
        let partition = self.told("partition").map(str::parse);
        let (Some(topic), Some(Ok(partition))) = (self.told("topic"), partition) else {
            return Err(NotReplayable::Placeless);
        };
        Ok(OutRecord {
            topic: topic.to_owned(),
            partition: Some(partition),
            key: self.message.key().map(<[u8]>::to_vec),
            payload: self.message.payload().map(<[u8]>::to_vec),
            timestamp: self.message.timestamp().to_millis(),
            headers: self.original_headers(),
        })
    }

    /// Without those that tell of its death.
    fn original_headers(&self) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new();
        for header in self.message.headers().into_iter().flat_map(Headers::iter) {
            if !header.key.starts_with(self.form.prefix()) {
                headers = headers.insert(header);
            }
        }
        headers
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
    use crate::kafka::{dead_letter, dead_letter_with};
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

    const TIME: i64 = 1_764_000_000_123;

    fn message(record: OutRecord) -> OwnedMessage {
        OwnedMessage::new(
            record.payload,
            record.key,
            record.topic,
            record
                .timestamp
                .map_or(Timestamp::NotAvailable, Timestamp::CreateTime),
            2,
            42,
            Some(record.headers),
        )
    }

    fn source(value: Vec<u8>) -> OwnedMessage {
        let headers = [("h", "v"), ("dlq.topic", "forged")];
        let headers = headers.map(|(key, value)| Header {
            key,
            value: Some(value),
        });
        message(OutRecord {
            topic: "source".to_owned(),
            partition: None,
            key: Some(b"k".to_vec()),
            payload: Some(value),
            timestamp: Some(TIME),
            headers: headers
                .into_iter()
                .fold(OwnedHeaders::new(), OwnedHeaders::insert),
        })
    }

    fn letter(record: OutRecord) -> Letter {
        Letter {
            message: message(record),
            replayed_at: None,
            form: LetterForm::Own,
        }
    }

    #[test]
    fn the_original_comes_back_without_its_death() {
        let letter = letter(dead_letter("dlq", &source(b"{}".to_vec()), "broken"));
        assert_eq!(letter.reason(), Some("broken"));
        let original = letter.original().unwrap();
        let place = (&*original.topic, original.partition, original.timestamp);
        assert_eq!(place, ("source", Some(2), Some(TIME)));
        assert_eq!(original.payload.as_deref(), Some(&b"{}"[..]));
        assert_eq!(original.key.as_deref(), Some(&b"k"[..]));
        let keys: Vec<_> = original.headers.iter().map(|header| header.key).collect();
        assert_eq!(keys, ["h"]);
    }

    #[test]
    fn a_part_of_a_record_or_one_from_nowhere_does_not_come_back() {
        let huge = letter(dead_letter("dlq", &source(vec![b'x'; 2_000_000]), "huge"));
        let part = huge.original().unwrap_err();
        assert!(part.to_string().contains("2000000 bytes"), "{part}");
        let silent = dead_letter_with("dlq", &source(Vec::new()), LetterForm::Connect, &[]);
        let silent = Letter {
            form: LetterForm::Connect,
            ..letter(silent)
        };
        assert_eq!(silent.original().unwrap_err(), NotReplayable::Placeless);
    }
}
