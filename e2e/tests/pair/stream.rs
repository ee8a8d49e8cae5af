use std::sync::Arc;

use anyhow::{Context, bail};
use e2e::{Http, PATIENCE, World};
use libtest_mimic::Trial;
use reqwest::Response;
use serde_json::{Value, json};

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; an_order_and_its_outcome_are_streamed_by_every_instance]
}

async fn an_order_and_its_outcome_are_streamed_by_every_instance(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let mut streams = [
        Stream::open(&world.orders[0], "/orders/stream").await?,
        Stream::open(&world.orders[1], "/orders/stream").await?,
    ];
    let placed = world.orders[0].place(&world.new_order(product, 2)).await?;
    let id = placed.id.to_string();
    for stream in &mut streams {
        // They come from two topics, so either may be first.
        let (mut order, mut outcome) = (None, None);
        while order.is_none() || outcome.is_none() {
            match stream.next().await? {
                (event, data) if event == "order" && data["id"] == *id => order = Some(data),
                (event, data) if event == "outcome" && data["order_id"] == *id => {
                    outcome = Some(data);
                }
                _ => {}
            }
        }
        let (order, outcome) = (order.context("an order")?, outcome.context("an outcome")?);
        assert_eq!(
            (&order["qty"], &order["status"]),
            (&json!(2), &json!("PENDING"))
        );
        assert_eq!(
            (&outcome["status"], &outcome["reason"]),
            (&json!("CONFIRMED"), &json!(null))
        );
        assert!(outcome["decided_at"].is_string(), "{outcome}");
    }
    Ok(())
}

/// Server-sent events as they arrive.
pub(crate) struct Stream {
    response: Response,
    received: String,
}

impl Stream {
    pub(crate) async fn open(service: &Http, path: &str) -> anyhow::Result<Self> {
        let response = service.get(path).send().await?.error_for_status()?;
        let media_type = response
            .headers()
            .get("content-type")
            .context("a content type")?;
        assert_eq!(media_type, "text/event-stream");
        Ok(Self {
            response,
            received: String::new(),
        })
    }

    /// The next event and its data.
    pub(crate) async fn next(&mut self) -> anyhow::Result<(String, Value)> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.frame()).await??;
            // Else a comment, which keeps the connection alive.
            if let Some((event, data)) = frame.split_once('\n') {
                let event = event
                    .strip_prefix("event: ")
                    .context("a frame has an event")?;
                let data = data.strip_prefix("data: ").context("a frame has data")?;
                return Ok((event.to_owned(), serde_json::from_str(data)?));
            }
        }
    }

    async fn frame(&mut self) -> anyhow::Result<String> {
        loop {
            if let Some((frame, rest)) = self.received.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.received = rest;
                return Ok(frame);
            }
            let Some(bytes) = self.response.chunk().await? else {
                bail!("the stream ended")
            };
            self.received.push_str(std::str::from_utf8(&bytes)?);
        }
    }
}
