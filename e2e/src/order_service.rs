use std::ops::Deref;

use anyhow::ensure;
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use shared::contract::{OrderId, Reason, Status, Timestamp};

use crate::http::{Answer, Http};

#[derive(Debug, Clone, Copy, Serialize)]
pub struct PlaceOrder {
    pub user_id: i64,
    pub product_id: i64,
    pub qty: i32,
    pub unit_price: i64,
}

/// An order as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    pub id: OrderId,
    pub user_id: i64,
    pub product_id: i64,
    pub qty: i32,
    pub unit_price: i64,
    pub total_price: i64,
    pub status: Status,
    pub reason: Option<Reason>,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderPage {
    pub items: Vec<OrderBody>,
    pub next_cursor: Option<String>,
}

/// One instance of the order-service.
#[derive(Debug, Clone)]
pub struct OrderService(pub Http);

impl Deref for OrderService {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.0
    }
}

impl OrderService {
    /// `POST /orders`, to be sent with more headers or without.
    pub fn order(&self, order: &PlaceOrder) -> RequestBuilder {
        self.post("/orders").json(order)
    }

    /// Places an order and does not wait for what becomes of it.
    pub async fn place(&self, order: &PlaceOrder) -> anyhow::Result<OrderBody> {
        let answer = Answer::to(self.order(order)).await?.expect(201)?;
        let body: OrderBody = answer.json()?;
        let location = format!("/orders/{}", body.id);
        ensure!(
            answer.header("location") == Some(&location),
            "Location of {body:?}"
        );
        Ok(body)
    }

    /// Places an order and waits for its outcome.
    pub async fn place_and_wait(&self, order: &PlaceOrder) -> anyhow::Result<OrderBody> {
        let request = self.order(order).header("Prefer", "wait=30");
        Answer::to(request).await?.expect(201)?.json()
    }

    pub async fn order_by_id(&self, id: OrderId) -> anyhow::Result<OrderBody> {
        Answer::to(self.get(&format!("/orders/{id}")))
            .await?
            .expect(200)?
            .json()
    }

    /// `query` is what follows the question mark.
    pub async fn list(&self, query: &str) -> anyhow::Result<OrderPage> {
        Answer::to(self.get(&format!("/orders?{query}")))
            .await?
            .expect(200)?
            .json()
    }

    pub async fn cancel(&self, id: OrderId) -> anyhow::Result<Answer> {
        Ok(Answer::to(self.post(&format!("/orders/{id}/cancel"))).await?)
    }
}
