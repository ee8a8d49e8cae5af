use rdkafka::message::{Header, OwnedHeaders};
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

fn is_trace_parent(text: &str) -> bool {
    let mut parts = text.split('-');
    let lengths = [2, 32, 16, 2];
    lengths.into_iter().all(|length| {
        parts
            .next()
            .is_some_and(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit()))
    }) && parts.next().is_none()
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
        ] {
            let ours = trace_parent(Some(bad));
            assert!(is_trace_parent(&ours), "{ours}");
        }
    }
}
