use std::time::Instant;

use rdkafka::message::{BorrowedMessage, Message};
use shared::contract::Delta;
use shared::kafka::{received_trace, trace_id};
use tracing::field::display;

use super::decide::{BadDelta, Decision};
use super::decode::decode;
use super::spans::BatchSpans;

/// A batch of large records ends early.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Records, and what each of them says.
#[derive(Default)]
pub(super) struct Read<'c> {
    pub(super) records: Vec<BorrowedMessage<'c>>,
    pub(super) deltas: Vec<Result<Delta, BadDelta>>,
}

impl<'c> Read<'c> {
    pub(super) fn extend(&mut self, records: Vec<BorrowedMessage<'c>>) {
        self.deltas.extend(records.iter().map(decode));
        self.records.extend(records);
    }

    /// Whether there is to be more for a batch of so many records.
    pub(super) fn has_room(&self, most: usize) -> bool {
        let bytes = self.records.iter().map(BorrowedMessage::payload_len);
        self.records.len() < most && bytes.sum::<usize>() < MOST_BYTES
    }

    /// The first records, so many at most; the others stay.
    pub(super) fn take(&mut self, most: usize) -> Self {
        let first = most.min(self.records.len());
        let rest = Self {
            records: self.records.split_off(first),
            deltas: self.deltas.split_off(first),
        };
        std::mem::replace(self, rest)
    }

    /// One decision per record again: what was no delta was not for `apply`.
    pub(super) fn in_their_places(&self, applied: Vec<Decision>) -> Vec<Decision> {
        let mut applied = applied.into_iter();
        let decisions = self.deltas.iter().filter_map(|delta| match delta {
            Ok(_) => applied.next(),
            Err(bad) => Some(Decision::Bad(bad.clone())),
        });
        decisions.collect()
    }
}

/// A batch that is in the database, and what became of each record.
pub(super) struct Applied<'c> {
    pub(super) read: Read<'c>,
    pub(super) decisions: Vec<Decision>,
    pub(super) spans: BatchSpans,
    pub(super) begun: Instant,
}

impl Applied<'_> {
    /// One line for all of a batch's dead letters: there may be thousands, and each has its
    /// reason with it. The others have lines of their own, for who looks so closely.
    pub(super) fn tell(&self) {
        let mut bad = 0;
        let mut first = None;
        let Read { records, deltas } = &self.read;
        for ((record, delta), decision) in records.iter().zip(deltas).zip(&self.decisions) {
            let of_order = || {
                let trace_parent = record.headers().and_then(received_trace);
                let order_id = delta.as_ref().ok().map(|delta| display(delta.order_id));
                (order_id, trace_parent.map(trace_id))
            };
            if let Decision::Bad(reason) = decision {
                bad += 1;
                first = first.or_else(|| Some((record, reason, of_order())));
            } else if tracing::enabled!(tracing::Level::DEBUG) {
                let (order_id, trace_id) = of_order();
                tracing::debug!(order_id, trace_id, ?decision, "decided");
            }
        }
        if let Some((record, reason, (order_id, trace_id))) = first {
            tracing::warn!(
                records = bad,
                partition = record.partition(),
                offset = record.offset(),
                order_id,
                trace_id,
                // The reason may quote anything.
                reason = ?reason.to_string(),
                "to the dead letters; the first of them"
            );
        }
    }
}
