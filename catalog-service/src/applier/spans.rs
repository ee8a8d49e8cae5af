use std::fmt::Display;

use rdkafka::message::Message;
use shared::contract::Delta;
use shared::traces::{Span, Traces};

use super::decide::{BadDelta, Decision};

/// What is recorded of a batch: the handling of each sampled delta, in its order's trace.
pub(super) struct BatchSpans {
    traces: Traces,
    /// As the batch; empty where nothing is exported.
    handled: Vec<Option<Span>>,
}

impl BatchSpans {
    pub(super) fn begin(traces: &Traces, records: &[impl Message]) -> Self {
        Self {
            traces: traces.clone(),
            handled: traces.consume(records),
        }
    }

    /// The batch's database transaction.
    pub(super) fn transaction(&self) -> Option<Span> {
        let spans = self.handled.iter().flatten().map(Span::context);
        self.traces.batch("apply deltas", self.handled.len(), spans)
    }

    /// The writing of a delta's fact.
    pub(super) fn fact(&self, at: usize, topic: &str) -> Option<Span> {
        let handled = self.handled.get(at)?.as_ref()?;
        self.traces.produce(topic, &handled.trace_parent())
    }

    pub(super) fn decided(&mut self, decoded: &[Result<Delta, BadDelta>], decisions: &[Decision]) {
        let outcomes = decoded.iter().zip(decisions);
        for (span, (delta, decision)) in self.handled.iter_mut().zip(outcomes) {
            let Some(span) = span else { continue };
            if let Ok(delta) = delta {
                span.set("order.id", delta.order_id.to_string());
            }
            match decision {
                Decision::Applied(fact) | Decision::Repeated(fact) => {
                    if let Some(fact) = fact {
                        span.set("order.status", fact.status.as_str());
                    }
                }
                Decision::Bad(reason) => span.fail(reason),
            }
        }
    }

    pub(super) fn fail(&mut self, error: impl Display) {
        let handled = self.handled.iter_mut().flatten();
        handled.for_each(|span| span.fail(&error));
    }
}
