use std::borrow::Cow;

use rdkafka::message::Message;
use shared::contract::Outcome;
use shared::kafka::{OutRecord, dead_letter, received_trace, record_headers, trace_parent};

use super::decide::Decision;
use crate::settings::Topics;

const PRODUCER: &str = concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION"));

/// What to write about a consumed record: its order's fact, a dead letter, or nothing. A fact
/// goes to `partition`; it carries `own_trace` on where its writing is recorded, else what its
/// delta carried.
pub(super) fn outcome(
    topics: &Topics,
    partition: i32,
    consumed: &impl Message,
    decision: &Decision,
    own_trace: impl FnOnce() -> Option<String>,
) -> Option<OutRecord> {
    match decision {
        Decision::Applied(fact) | Decision::Repeated(fact) => {
            let fact = (*fact)?;
            let own_trace = own_trace();
            let received = || consumed.headers().and_then(received_trace);
            let trace = own_trace.as_deref().or_else(received);
            let trace = trace.map_or_else(|| Cow::from(trace_parent(None)), Cow::from);
            Some(fact_record(topics, partition, &trace, &fact))
        }
        Decision::Bad(bad) => Some(dead_letter(
            &topics.dead_letters.name,
            consumed,
            &bad.to_string(),
        )),
    }
}

fn fact_record(topics: &Topics, partition: i32, trace: &str, fact: &Outcome) -> OutRecord {
    OutRecord {
        topic: topics.order_outcomes.name.clone(),
        partition: Some(partition),
        key: Some(fact.order_id.to_string().into_bytes()),
        payload: Some(fact.encode()),
        timestamp: None,
        headers: record_headers(PRODUCER, trace),
    }
}
