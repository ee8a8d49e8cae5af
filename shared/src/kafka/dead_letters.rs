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

/// Below the broker's default `message.max.bytes` of 1 MiB, with room for headers.
const LARGEST_PAYLOAD: usize = 900_000;
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
/// A value that would not fit is cut off, and the header `truncated` says how long it was.
pub fn dead_letter_with(
    topic: &str,
    message: &impl Message,
    form: LetterForm,
    context: &[(&str, &str)],
) -> OutRecord {
    let mut headers = original_headers(message);
    let mut add = |name: &str, value: &str| {
        let header = Header {
            key: &form.header(name),
            value: Some(cut(value, LONGEST_TEXT)),
        };
        headers = std::mem::take(&mut headers).insert(header);
    };
    context.iter().for_each(|(name, value)| add(name, value));
    let mut payload = message.payload().map(<[u8]>::to_vec);
    if let Some(bytes) = &mut payload
        && bytes.len() > LARGEST_PAYLOAD
    {
        let note = format!("{} bytes, cut off at {LARGEST_PAYLOAD}", bytes.len());
        add("truncated", &note);
        bytes.truncate(LARGEST_PAYLOAD);
    }
    OutRecord {
        topic: topic.to_owned(),
        partition: None,
        key: message.key().map(<[u8]>::to_vec),
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

fn original_headers(message: &impl Message) -> OwnedHeaders {
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
    use rdkafka::message::OwnedMessage;

    use super::*;

    const TIME: i64 = 1_764_000_000_123;

    fn message(payload: Vec<u8>) -> OwnedMessage {
        message_of(payload, TIME)
    }

    fn message_of(payload: Vec<u8>, time: i64) -> OwnedMessage {
        let headers = OwnedHeaders::new().insert(Header {
            key: "h",
            value: Some("v"),
        });
        OwnedMessage::new(
            Some(payload),
            Some(b"key".to_vec()),
            "catalog_deltas".into(),
            Timestamp::CreateTime(time),
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
        assert_eq!(letter.payload.as_ref().map(Vec::len), Some(LARGEST_PAYLOAD));
        assert!(
            header(&letter, "dlq.truncated")
                .unwrap()
                .starts_with("2000000 bytes")
        );
    }

    #[test]
    fn a_time_to_come_is_not_kept() {
        let now = crate::contract::Timestamp::now().millis();
        let letter = dead_letter("dlq", &message_of(Vec::new(), now + 86_400_000), "early");
        assert!(letter.timestamp.unwrap() < now + 60_000);
    }
}
