use rdkafka::message::{Headers, Message, OwnedMessage};
use shared::contract::Outcome;
use shared::kafka::{OutRecord, dead_letter, record_headers, trace_parent};

use super::decide::Decision;
use crate::settings::Topics;

const PRODUCER: &str = concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION"));

/// What to write about a consumed record: its order's fact, a dead letter, or nothing.
pub(super) fn outcome(
    topics: &Topics,
    consumed: &OwnedMessage,
    decision: &Decision,
) -> Option<OutRecord> {
    match decision {
        Decision::Applied(fact) | Decision::Repeated(fact) => {
            fact.map(|fact| fact_record(topics, consumed, &fact))
        }
        Decision::Bad(bad) => Some(dead_letter(
            &topics.dead_letters.name,
            consumed,
            &bad.to_string(),
        )),
    }
}

/// The order's trace goes on.
fn fact_record(topics: &Topics, consumed: &OwnedMessage, fact: &Outcome) -> OutRecord {
    let trace = consumed.headers().and_then(trace_header);
    OutRecord {
        topic: topics.order_outcomes.name.clone(),
        partition: None,
        key: Some(fact.order_id.to_string().into_bytes()),
        payload: Some(fact.encode()),
        timestamp: None,
        headers: record_headers(PRODUCER, &trace_parent(trace)),
    }
}

fn trace_header(headers: &impl Headers) -> Option<&str> {
    let header = headers.iter().find(|header| header.key == "traceparent")?;
    std::str::from_utf8(header.value?).ok()
}
