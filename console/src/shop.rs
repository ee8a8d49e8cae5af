//! Places orders as a careful client does: each under a key of its own, and again under the
//! same key, on the other instance, until there is an answer.

mod burst;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::StatusCode;
use anyhow::ensure;
use parking_lot::Mutex;
use reqwest::{Client, RequestBuilder, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::contract::OrderId;

use self::burst::Bursts;
pub(crate) use self::burst::{BurstError, MAX_BURST};
use crate::audit::{Answer, Audit};
use crate::settings::{LetterSource, Settings};
use crate::snapshot::{Burst, Product};

const ATTEMPTS: u32 = 60;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Shop {
    client: Client,
    order_services: Vec<String>,
    catalog_service: String,
    letter_sources: [LetterSource; 2],
    audit: Arc<Audit>,
    products: Mutex<Vec<Product>>,
    bursts: Bursts,
    next: AtomicUsize,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    pub(crate) user_id: i64,
    pub(crate) product_id: i64,
    pub(crate) qty: i32,
    pub(crate) unit_price: i64,
}

/// What came of an order, after all attempts.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) answer: Answer,
    pub(crate) attempts: u32,
    /// The last answer that there was.
    pub(crate) last: Option<Forwarded>,
}

/// A service's answer, for the page.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Shop {
    pub(crate) fn new(client: Client, settings: &Settings, audit: Arc<Audit>) -> Self {
        Self {
            client,
            order_services: settings.order_services.clone(),
            catalog_service: settings.catalog_service.clone(),
            letter_sources: settings.letter_sources(),
            audit,
            products: Mutex::default(),
            bursts: Bursts::default(),
            next: AtomicUsize::new(0),
        }
    }

    pub(crate) fn set_products(&self, products: Vec<Product>) {
        *self.products.lock() = products;
    }

    pub(crate) fn products(&self) -> Vec<Product> {
        self.products.lock().clone()
    }

    pub(crate) fn burst(&self) -> Burst {
        self.bursts.state()
    }

    pub(crate) async fn place(&self, order: &NewOrder, prefer: Option<&'static str>) -> Sent {
        let key = format!("console-{}", OrderId::random());
        self.audit.expect(&key);
        let sent = self.send(order, &key, prefer).await;
        self.audit.answered(&key, sent.answer);
        sent
    }

    async fn send(&self, order: &NewOrder, key: &str, prefer: Option<&'static str>) -> Sent {
        let mut sent = Sent {
            answer: Answer::Refused,
            attempts: 0,
            last: None,
        };
        while sent.attempts < ATTEMPTS {
            sent.attempts += 1;
            let mut request = self.next_order_service("orders").json(order);
            request = request.header("Idempotency-Key", key);
            if let Some(prefer) = prefer {
                request = request.header("Prefer", prefer);
            }
            sent.last = forward(request).await.ok();
            match sent.last.as_ref().map(|answer| answer.status.as_u16()) {
                Some(200 | 201) => {
                    sent.answer = Answer::Acknowledged;
                    return sent;
                }
                Some(503) => {}
                Some(400..500) => return sent,
                // It may be placed, whatever is answered from now on.
                _ => sent.answer = Answer::Unknown,
            }
            let pause = Duration::from_millis(50) * sent.attempts;
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
        sent
    }

    /// The instances take turns.
    fn next_order_service(&self, path: &str) -> RequestBuilder {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let instances = &self.order_services;
        let base = &instances[turn % instances.len()];
        self.client.post(format!("{base}/{path}"))
    }

    pub(crate) async fn cancel(&self, order: OrderId) -> reqwest::Result<Forwarded> {
        let path = format!("orders/{order}/cancel");
        let mut answer = forward(self.next_order_service(&path)).await;
        if answer.as_ref().is_err_and(reqwest::Error::is_connect) {
            answer = forward(self.next_order_service(&path)).await;
        }
        answer
    }

    pub(crate) async fn restock(&self, product: i64, delta: i64) -> reqwest::Result<Forwarded> {
        let url = format!("{}/catalog/{product}/adjustments", self.catalog_service);
        let adjustment = serde_json::json!({"delta": delta, "reason": "restock"});
        let request = self.client.post(url).json(&adjustment);
        forward(request.header("Idempotency-Key", OrderId::random().to_string())).await
    }

    /// Makes a product have so much in stock.
    pub(crate) async fn stock_up(
        &self,
        id: i64,
        name: &str,
        details: (i64, i64),
    ) -> anyhow::Result<()> {
        let (unit_price, qty) = details;
        let url = format!("{}/catalog/{id}", self.catalog_service);
        let details = serde_json::json!({"name": name, "unit_price": unit_price, "qty": qty});
        let answer = forward(self.client.put(url).json(&details)).await?;
        ensure!(answer.status.is_success(), "{}", answer.body);
        let missing = qty - answer.body["qty"].as_i64().unwrap_or(qty);
        if missing != 0 {
            let answer = self.restock(id, missing).await?;
            ensure!(answer.status.is_success(), "{}", answer.body);
        }
        Ok(())
    }

    /// `None` where there is no such source.
    pub(crate) async fn replay(
        &self,
        source: &str,
        (partition, offset): (i32, i64),
    ) -> Option<reqwest::Result<Forwarded>> {
        let mut sources = self.letter_sources.iter();
        let LetterSource { url, .. } = sources.find(|known| known.name == source)?;
        let request = self
            .client
            .post(format!("{url}/{partition}/{offset}/replay"));
        Some(forward(request).await)
    }
}

async fn forward(request: RequestBuilder) -> reqwest::Result<Forwarded> {
    let answer: Response = request.send().await?;
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await?;
    Ok(Forwarded {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    })
}
