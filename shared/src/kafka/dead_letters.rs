mod form;
mod letter;
mod replay;
mod topic;
mod watch;

use rdkafka::message::{Header, Headers, Message, OwnedHeaders};

use super::OutRecord;
use crate::contract::Timestamp;

pub use form::LetterForm;
pub use letter::{Letter, LetterAddress, NotReplayable};
pub use replay::Replay;
pub use topic::DeadLetterTopic;

/// Key, value and headers as they came. librdkafka takes 1,000,000 bytes, the broker 1 MiB, and the
/// headers of a death need room too.
const LARGEST_RECORD: usize = 900_000;
/// A header's two lengths, as they are written.
const HEADER_LENGTHS: usize = 10;
const LONGEST_TEXT: usize = 4_000;

/// A record that can never be handled, for the dead-letter topic: why and whence in
/// [`LetterForm::Own`].
pub fn dead_letter(topic: &str, message: &impl Message, reason: &str) -> OutRecord {
    let (partition, offset) = (message.partition(), message.offset());
    let context: [(&str, &str); 4] = [
        ("reason", reason),
        ("topic", message.topic()),
        ("partition", &partition.to_string()),
        ("offset", &offset.to_string()),
    ];
    dead_letter_with(topic, message, LetterForm::Own, &context)
}

/// Key, value, headers and time as they were, and behind them the headers that tell of its
/// death, named without the form's prefix.
///
/// What would not fit is cut off or left out, and the header `truncated` says what is missing.
pub fn dead_letter_with(
    topic: &str,
    message: &impl Message,
    form: LetterForm,
    context: &[(&str, &str)],
) -> OutRecord {
    let mut room = Room {
        left: LARGEST_RECORD,
        missing: Vec::new(),
    };
    let key = message.key().map(|key| room.bytes("key", key));
    let mut headers = room.headers(message);
    let payload = message.payload().map(|value| room.bytes("value", value));
    let mut add = |name: &str, value: &str| {
        let header = Header {
            key: &form.header(name),
            value: Some(cut(value, LONGEST_TEXT)),
        };
        headers = std::mem::take(&mut headers).insert(header);
    };
    context.iter().for_each(|(name, value)| add(name, value));
    if !room.missing.is_empty() {
        add("truncated", &room.missing.join("; "));
    }
    OutRecord {
        topic: topic.to_owned(),
        partition: None,
        key,
        payload,
        timestamp: past_time(message),
        headers,
    }
}

/// A broker may refuse a time to come, and then the letter would never be written.
fn past_time(message: &impl Message) -> Option<i64> {
    let time = message.timestamp().to_millis()?;
    Some(time.min(Timestamp::now().millis()))
}

/// What a letter still has room for, and what of the record is missing.
struct Room {
    left: usize,
    missing: Vec<String>,
}

impl Room {
    fn bytes(&mut self, what: &str, whole: &[u8]) -> Vec<u8> {
        let kept = whole.len().min(self.left);
        if kept < whole.len() {
            let note = format!("{} bytes of {what}, cut off at {kept}", whole.len());
            self.missing.push(note);
        }
        self.left -= kept;
        whole[..kept].to_vec()
    }

    /// A part of a header would look like another one.
    fn headers(&mut self, message: &impl Message) -> OwnedHeaders {
        let (mut headers, mut left_out) = (OwnedHeaders::new(), 0);
        for header in message.headers().into_iter().flat_map(Headers::iter) {
            let size = HEADER_LENGTHS + header.key.len() + header.value.map_or(0, <[u8]>::len);
            match self.left.checked_sub(size) {
                Some(left) => {
                    self.left = left;
                    headers = headers.insert(header);
                }
                None => left_out += 1,
            }
        }
        if left_out > 0 {
            self.missing.push(format!("headers left out: {left_out}"));
        }
        headers
    }
}

fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;

    const TIME: i64 = 1_764_000_000_123;

    fn message(payload: Vec<u8>) -> OwnedMessage {
        message_of(payload, TIME)
    }

    fn message_of(payload: Vec<u8>, time: i64) -> OwnedMessage {
        OwnedMessage::new(
            Some(payload),
            Some(b"key".to_vec()),
            "catalog_deltas".into(),
            Timestamp::CreateTime(time),
            2,
            42,
            Some(headers(&[("h", "v")])),
        )
    }

    fn headers(of: &[(&str, &str)]) -> OwnedHeaders {
        of.iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(*value),
                })
            })
    }

    /// What librdkafka and the broker count, beside a few bytes.
    fn size(record: &OutRecord) -> usize {
        let part = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
        let headers = record.headers.iter();
        let headers = headers.map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len));
        part(&record.key) + part(&record.payload) + headers.sum::<usize>()
    }

    fn header(record: &OutRecord, key: &str) -> Option<String> {
        let header = record.headers.iter().find(|header| header.key == key)?;
        Some(String::from_utf8(header.value?.to_vec()).unwrap())
    }

    #[test]
    fn a_dead_letter_says_why_and_whence_and_keeps_the_record() {
        let letter = dead_letter("dlq", &message(b"{}".to_vec()), "broken");
        assert_eq!(letter.payload.as_deref(), Some(&b"{}"[..]));
        assert_eq!(letter.key.as_deref(), Some(&b"key"[..]));
        assert_eq!(letter.timestamp, Some(TIME));
        for (key, value) in [
            ("h", "v"),
            ("dlq.reason", "broken"),
            ("dlq.topic", "catalog_deltas"),
            ("dlq.partition", "2"),
            ("dlq.offset", "42"),
        ] {
            assert_eq!(header(&letter, key).as_deref(), Some(value));
        }
        assert_eq!(header(&letter, "dlq.truncated"), None);
    }

    #[test]
    fn a_value_that_does_not_fit_is_cut_off_with_a_note() {
        let letter = dead_letter("dlq", &message(vec![b'x'; 2_000_000]), "huge");
        assert!((LARGEST_RECORD..1_000_000).contains(&size(&letter)));
        assert_eq!(letter.key.as_deref(), Some(&b"key"[..]));
        assert_eq!(header(&letter, "h").as_deref(), Some("v"));
        assert!(
            header(&letter, "dlq.truncated")
                .unwrap()
                .starts_with("2000000 bytes")
        );
    }

    #[test]
    fn a_key_and_headers_that_do_not_fit_leave_room_for_why_and_whence() {
        let huge = "x".repeat(950_000);
        let headers = headers(&[("huge", &huge), ("h", "v")]);
        let message = message(b"{}".to_vec()).replace_headers(Some(headers));
        let letter = dead_letter("dlq", &message, "headers");
        let note = header(&letter, "dlq.truncated");
        assert_eq!(note.as_deref(), Some("headers left out: 1"));
        assert_eq!(header(&letter, "h").as_deref(), Some("v"));
        assert_eq!(letter.payload.as_deref(), Some(&b"{}"[..]));

        let message = message.set_key(Some(huge.into_bytes()));
        let letter = dead_letter("dlq", &message, "key");
        assert!(size(&letter) < 1_000_000);
        let note = header(&letter, "dlq.truncated").unwrap();
        assert!(note.starts_with("950000 bytes of key"), "{note}");
        assert_eq!(header(&letter, "dlq.reason").as_deref(), Some("key"));
    }

    #[test]
    fn a_time_to_come_is_not_kept() {
        let now = crate::contract::Timestamp::now().millis();
        let letter = dead_letter("dlq", &message_of(Vec::new(), now + 86_400_000), "early");
        assert!(letter.timestamp.unwrap() < now + 60_000);
    }
}
