use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use uuid::Uuid;

/// A record to produce.
#[derive(Debug, Clone)]
pub struct OutRecord {
    pub topic: String,
    /// `None`: chosen by the key.
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    /// Milliseconds since 1970. `None`: now.
    pub timestamp: Option<i64>,
    pub headers: OwnedHeaders,
}

impl<'a> From<&'a OutRecord> for FutureRecord<'a, Vec<u8>, Vec<u8>> {
    fn from(record: &'a OutRecord) -> Self {
        Self {
            topic: &record.topic,
            partition: record.partition,
            payload: record.payload.as_ref(),
            key: record.key.as_ref(),
            timestamp: record.timestamp,
            headers: Some(record.headers.clone()),
        }
    }
}

/// The headers on every record of ours.
///
/// `producer` is `service@version`, `trace_parent` a W3C `traceparent`.
pub fn record_headers(producer: &str, trace_parent: &str) -> OwnedHeaders {
    let header = |key, value| Header {
        key,
        value: Some(value),
    };
    OwnedHeaders::new_with_capacity(3)
        .insert(header("traceparent", trace_parent))
        .insert(header("content-type", "application/json"))
        .insert(header("producer", producer))
}

/// A W3C `traceparent`: the caller's if it is well formed, else the start of a new trace.
pub fn trace_parent(received: Option<&str>) -> String {
    match received.filter(|text| is_trace_parent(text)) {
        Some(text) => text.to_owned(),
        None => {
            let trace = Uuid::now_v7().simple();
            let span = &Uuid::now_v7().simple().to_string()[16..];
            format!("00-{trace}-{span}-01")
        }
    }
}

/// The `traceparent` that a record came with, if it is well formed.
pub fn received_trace(headers: &impl Headers) -> Option<&str> {
    let header = headers.iter().find(|header| header.key == "traceparent")?;
    let text = std::str::from_utf8(header.value?).ok()?;
    is_trace_parent(text).then_some(text)
}

/// The id of the trace that a well-formed `traceparent` is of.
pub fn trace_id(trace_parent: &str) -> &str {
    trace_parent.get(3..35).unwrap_or_default()
}

/// `version-trace-span-flags`, in lower case; no id is all zeros, and no version `ff`.
pub(crate) fn is_trace_parent(text: &str) -> bool {
    let well_formed = text.len() == 55
        && text.bytes().enumerate().all(|(at, byte)| match at {
            2 | 35 | 52 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    well_formed && !text.starts_with("ff") && !is_zero(&text[3..35]) && !is_zero(&text[36..52])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_trace_is_continued_and_anything_else_starts_one() {
        let theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_parent(Some(theirs)), theirs);
        for bad in [
            "",
            "00-x-y-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        ] {
            let ours = trace_parent(Some(bad));
            assert!(is_trace_parent(&ours), "{ours}");
        }
    }

    #[test]
    fn a_record_tells_its_trace() {
        let theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = record_headers("test", theirs);
        assert_eq!(received_trace(&headers), Some(theirs));
        assert_eq!(trace_id(theirs), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(received_trace(&record_headers("test", "none")), None);
    }
}
