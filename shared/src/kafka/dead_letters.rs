mod letter;
mod replay;
mod topic;
mod watch;

use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};

use super::OutRecord;

pub use letter::{Letter, LetterAddress};
pub use replay::Replay;
pub use topic::DeadLetterTopic;

/// Below the broker's default `message.max.bytes` of 1 MiB, with room for headers.
const LARGEST_PAYLOAD: usize = 900_000;
const LONGEST_REASON: usize = 4_000;

/// A record that can never be handled, for the dead-letter topic: key, value and
/// headers as they were, and why and from where in `dlq.*` headers.
///
/// A value that would not fit is cut off, and `dlq.truncated` says how long it was.
pub fn dead_letter(topic: &str, message: &OwnedMessage, reason: &str) -> OutRecord {
    let mut headers = original_headers(message);
    let mut add = |key, value: &str| {
        let header = Header {
            key,
            value: Some(value),
        };
        headers = std::mem::take(&mut headers).insert(header);
    };
    add("dlq.reason", cut(reason, LONGEST_REASON));
    add("dlq.topic", message.topic());
    add("dlq.partition", &message.partition().to_string());
    add("dlq.offset", &message.offset().to_string());
    let mut payload = message.payload().map(<[u8]>::to_vec);
    if let Some(bytes) = &mut payload
        && bytes.len() > LARGEST_PAYLOAD
    {
        add(
            "dlq.truncated",
            &format!("{} bytes, cut off at {LARGEST_PAYLOAD}", bytes.len()),
        );
        bytes.truncate(LARGEST_PAYLOAD);
    }
    OutRecord {
        topic: topic.to_owned(),
        partition: None,
        key: message.key().map(<[u8]>::to_vec),
        payload,
        headers,
    }
}

fn original_headers(message: &OwnedMessage) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new();
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        headers = headers.insert(header);
    }
    headers
}

fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;

    use super::*;

    fn message(payload: Vec<u8>) -> OwnedMessage {
        let headers = OwnedHeaders::new().insert(Header {
            key: "h",
            value: Some("v"),
        });
        OwnedMessage::new(
            Some(payload),
            Some(b"key".to_vec()),
            "catalog_deltas".into(),
            Timestamp::NotAvailable,
            2,
            42,
            Some(headers),
        )
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
        assert_eq!(letter.payload.as_ref().map(Vec::len), Some(LARGEST_PAYLOAD));
        assert!(
            header(&letter, "dlq.truncated")
                .unwrap()
                .starts_with("2000000 bytes")
        );
    }
}
