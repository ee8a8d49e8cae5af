#[cfg(test)]
mod tests;

use std::time::Duration;

use actix_web::http::StatusCode;
use shared::contract::{Delta, Order, OrderId, Timestamp};
use shared::http::{Dependency, Problem};
use shared::kafka::trace_id;
use shared::traces::{self, Span, Traces};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::known_order::KnownOrder;
use crate::publisher::{Publication, PublishError, Publisher};
use crate::read_model::{ReadError, ReadModel};
use crate::settings::Topics;
use crate::tail::{Awaited, Tail, Waiter};
use crate::visibility::Accepted;

/// How far a committed order may be ahead of this instance's tail, on a busy machine.
const TAIL_LAG: Duration = Duration::from_secs(3);
/// How long after an outage an order may appear that was sent before or during it.
const DOUBT: Duration = Duration::from_secs(30);
/// How old an order may be that the sink has not written yet, as far as a 404 goes.
const SINK_LAG_MILLIS: i64 = 30_000;

/// What a request handler works with.
pub(crate) struct App {
    pub(crate) publisher: Publisher,
    pub(crate) tail: Tail,
    /// While these are away, nobody knows what was committed.
    pub(crate) writing: [Dependency; 2],
    /// While it is away, the tail misses what others commit.
    pub(crate) following: Dependency,
    pub(crate) read_model: ReadModel,
    pub(crate) accepted: Accepted,
    pub(crate) drain: CancellationToken,
    pub(crate) topics: Topics,
    pub(crate) traces: Traces,
}

impl App {
    /// Returns once an order and its reservation, or a release by itself, are committed, as part
    /// of the trace that `trace_parent` is of.
    pub(crate) async fn publish(
        &self,
        order: Option<Order>,
        delta: Delta,
        trace_parent: &str,
    ) -> Result<(), PublishError> {
        let (order_id, kind) = (delta.order_id, delta.kind);
        let topic = match order {
            Some(_) => &self.topics.orders,
            None => &self.topics.catalog_deltas,
        };
        let mut span = self.traces.produce(&topic.name, trace_parent);
        if let Some(span) = &mut span {
            span.set("order.id", order_id.to_string());
        }
        let own = span.as_ref().map(Span::trace_parent);
        let publication = Publication {
            order,
            delta,
            trace_parent: own.unwrap_or_else(|| trace_parent.to_owned()),
        };
        let result = self.publisher.publish(publication).await;
        traces::end(span, &result);
        if result.is_ok() {
            let (kind, trace_id) = (kind.as_str(), trace_id(trace_parent));
            tracing::debug!(%order_id, trace_id, kind, "committed");
        }
        result
    }

    /// What is known of an order, from the database and the tail together. Without the
    /// database, what the tail has is still an answer.
    pub(crate) async fn find(&self, id: OrderId) -> Result<Option<KnownOrder>, ReadError> {
        let stored = self.read_model.order(id).await;
        let recent = self.tail.recent(id);
        let placed = recent.order.clone().map(KnownOrder::placed);
        let known = match stored {
            Ok(stored) => stored.or(placed),
            Err(_) if placed.is_some() => placed,
            Err(error) => return Err(error),
        };
        Ok(known.map(|known| known.with(&recent)))
    }

    /// As [`Self::find`]; an id that may have been given out a moment ago, by another
    /// instance, gets the time that the tail needs: a client reads its own write.
    pub(crate) async fn find_own_write(
        &self,
        id: OrderId,
    ) -> Result<Option<KnownOrder>, ReadError> {
        let arrival = self.tail.waiter(id, Awaited::Order);
        self.find_arriving(id, arrival, Instant::now() + TAIL_LAG)
            .await
    }

    /// As [`Self::find_own_write`], after a wait for the order and its outcome if need be.
    pub(crate) async fn find_decided(
        &self,
        id: OrderId,
        wait: Duration,
    ) -> Result<Option<KnownOrder>, ReadError> {
        let begun = Instant::now();
        let arrival = self.tail.waiter(id, Awaited::Order);
        let outcome = self.tail.waiter(id, Awaited::Outcome);
        match self.find(id).await {
            Ok(Some(known)) if !known.is_pending() => Ok(Some(known)),
            _ => {
                self.wait(outcome, begun + wait).await;
                // The outcome may be faster than its order.
                self.find_arriving(id, arrival, begun + wait.max(TAIL_LAG))
                    .await
            }
        }
    }

    async fn find_arriving(
        &self,
        id: OrderId,
        arrival: Waiter,
        deadline: Instant,
    ) -> Result<Option<KnownOrder>, ReadError> {
        let known = self.find(id).await?;
        if known.is_some() || !may_be_recent(id) {
            return Ok(known);
        }
        self.wait(arrival, deadline).await;
        self.find(id).await
    }

    /// An order placed just now, as it stands after a wait for its outcome.
    pub(crate) async fn after_wait(
        &self,
        order: Order,
        outcome: Waiter,
        wait: Duration,
    ) -> KnownOrder {
        let id = order.id;
        self.wait(outcome, Instant::now() + wait).await;
        let known = KnownOrder::placed(order).with(&self.tail.recent(id));
        if !known.is_pending() {
            return known;
        }
        match self.find(id).await {
            Ok(Some(found)) => found,
            _ => known,
        }
    }

    /// Whether an order that is not found may have been placed all the same.
    pub(crate) fn may_exist(&self, id: OrderId) -> bool {
        let is_in_doubt = || {
            let mut writing = self.writing.iter();
            writing.any(|dependency| !dependency.is_settled(DOUBT))
        };
        let is_missed = || may_be_recent(id) && !self.following.is_up();
        may_be_given_out(id) && (is_in_doubt() || is_missed())
    }

    /// Waits, but not into a shutdown.
    async fn wait(&self, waiter: Waiter, deadline: Instant) {
        tokio::select! {
            () = waiter.wait_until(deadline) => {}
            () = self.drain.cancelled() => {}
        }
    }

    /// The order already placed by this user with this key. Best effort: without an
    /// answer in time the order is simply written again, which changes nothing.
    ///
    /// Two racing orders may both have the key: the one asked for comes first.
    pub(crate) async fn already_placed(&self, order: &Order) -> Option<KnownOrder> {
        let key = order.idempotency_key.as_deref()?;
        let recent = self.placed_recently(order.id);
        if recent.is_some() {
            return recent;
        }
        let stored = self.read_model.placed_with(order.user_id, key).await;
        let stored = stored.unwrap_or_default();
        let same = stored.iter().find(|known| known.order.id == order.id);
        let other = self.tail.placed_with(order.user_id, key);
        let known = same
            .cloned()
            .or_else(|| self.placed_recently(other?))
            .or_else(|| stored.first().cloned())?;
        let recent = self.tail.recent(known.order.id);
        Some(known.with(&recent))
    }

    fn placed_recently(&self, id: OrderId) -> Option<KnownOrder> {
        let recent = self.tail.recent(id);
        let placed = recent.order.clone().map(KnownOrder::placed)?;
        Some(placed.with(&recent))
    }
}

fn may_be_given_out(id: OrderId) -> bool {
    id.is_keyed() || id.created_at_millis().is_some()
}

/// Whether an order of this id may exist that neither the tail nor the sink has seen.
/// An id from an idempotency key does not tell when it was made.
pub(crate) fn may_be_recent(id: OrderId) -> bool {
    let now = Timestamp::now().millis();
    id.is_keyed()
        || id
            .created_at_millis()
            .is_some_and(|made| (now - made).abs() < SINK_LAG_MILLIS)
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            // To try again would not help.
            ReadError::Row(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unreadable-row",
                "What is stored cannot be read",
            )
            .detail(error.to_string()),
            _ => Self::unavailable("database", error.to_string(), Duration::from_secs(1)),
        }
    }
}
