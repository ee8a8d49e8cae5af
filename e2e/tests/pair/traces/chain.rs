use std::sync::Arc;

use anyhow::{Context, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use shared::contract::OrderId;

use super::collector::Span;

/// The span that an order's request comes from.
pub(super) const CALLER: &str = "00f067aa0ba902b7";

/// The spans of one order, and those of the batches it was in.
pub(super) struct Chain {
    request: Arc<Span>,
    pub(super) created: Arc<Span>,
    sent: Arc<Span>,
    handled: Arc<Span>,
    applied: Arc<Span>,
    decided: Arc<Span>,
    order_row: Arc<Span>,
    outcome_row: Arc<Span>,
    written: [Arc<Span>; 2],
}

impl Chain {
    pub(super) fn of(spans: &[Arc<Span>], trace: &str, order: OrderId) -> anyhow::Result<Self> {
        let one = |service: &str, name: &str| {
            let mut spans = spans.iter().filter(|span| span.trace == trace);
            let found = spans.find(|span| (&*span.service, &*span.name) == (service, name));
            found
                .cloned()
                .with_context(|| format!("no span {name} of {service}"))
        };
        let batch = |service: &str, name: &str, of: &Span| {
            let link = (of.trace.clone(), of.id.clone());
            let mut spans = spans.iter().filter(|span| span.links.contains(&link));
            let found = spans.find(|span| (&*span.service, &*span.name) == (service, name));
            found
                .cloned()
                .with_context(|| format!("no link to {} from {name} of {service}", of.name))
        };
        let created = one("order-service", "create orders")?;
        let handled = one("catalog-service", "process catalog_deltas")?;
        let order_row = one("connect-worker", "process orders")?;
        let outcome_row = one("connect-worker", "process order_outcomes")?;
        assert_eq!(created.attributes["order.id"], order.to_string());
        assert_eq!(handled.attributes["order.id"], order.to_string());
        Ok(Self {
            request: one("order-service", "POST /orders")?,
            sent: batch("order-service", "send orders", &created)?,
            applied: batch("catalog-service", "apply deltas", &handled)?,
            decided: one("catalog-service", "create order_outcomes")?,
            written: [
                batch("connect-worker", "write rows", &order_row)?,
                batch("connect-worker", "write rows", &outcome_row)?,
            ],
            created,
            handled,
            order_row,
            outcome_row,
        })
    }

    pub(super) fn is_right(&self, trace: &str) -> anyhow::Result<()> {
        for (span, parent, kind) in [
            (&self.request, CALLER, SpanKind::Server),
            (&self.created, &*self.request.id, SpanKind::Producer),
            (&self.handled, &*self.created.id, SpanKind::Consumer),
            (&self.decided, &*self.handled.id, SpanKind::Producer),
            (&self.order_row, &*self.created.id, SpanKind::Consumer),
            (&self.outcome_row, &*self.decided.id, SpanKind::Consumer),
        ] {
            ensure!(span.parent == parent && span.kind == kind, "{span:?}");
        }
        for batch in [
            &self.sent,
            &self.applied,
            &self.written[0],
            &self.written[1],
        ] {
            ensure!(batch.parent.is_empty() && batch.trace != trace, "{batch:?}");
        }
        let told = |span: &Span, name: &str| span.attributes.get(name).cloned().unwrap_or_default();
        assert_eq!(told(&self.request, "http.response.status_code"), "201");
        assert_eq!(told(&self.request, "http.route"), "/orders");
        assert_eq!(told(&self.handled, "order.status"), "CONFIRMED");
        assert_eq!(told(&self.handled, "messaging.system"), "kafka");
        let key = told(&self.order_row, "messaging.kafka.message.key");
        assert_eq!(key, told(&self.created, "order.id"));
        Ok(())
    }
}
