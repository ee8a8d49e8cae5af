use std::ops::Deref;

use serde::Deserialize;
use serde_json::json;
use shared::contract::{Status, Timestamp};

use crate::dead_letters::DeadLetters;
use crate::http::{Answer, Http};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub product_id: i64,
    pub name: String,
    pub unit_price: i64,
    pub qty: i64,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    pub reference: String,
    pub kind: String,
    pub product_id: i64,
    pub delta: i64,
    pub status: Option<Status>,
    pub reason: Option<String>,
    pub decided_at: Timestamp,
}

#[derive(Deserialize)]
struct Ledger {
    items: Vec<LedgerEntry>,
    next_cursor: Option<String>,
}

#[derive(Debug, Clone)]
pub struct CatalogService(pub Http);

impl Deref for CatalogService {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.0
    }
}

impl CatalogService {
    /// `PUT /catalog/{id}` of a product of 1,200 minor units.
    pub async fn put_product(&self, id: i64, name: &str, qty: i64) -> anyhow::Result<Answer> {
        let product = json!({ "name": name, "unit_price": 1_200, "qty": qty });
        Ok(Answer::to(self.put(&format!("/catalog/{id}")).json(&product)).await?)
    }

    pub async fn product(&self, id: i64) -> anyhow::Result<Product> {
        Answer::to(self.get(&format!("/catalog/{id}")))
            .await?
            .expect(200)?
            .json()
    }

    pub async fn stock(&self, id: i64) -> anyhow::Result<i64> {
        Ok(self.product(id).await?.qty)
    }

    pub async fn adjust(&self, id: i64, key: &str, delta: i64) -> anyhow::Result<Answer> {
        let request = self.post(&format!("/catalog/{id}/adjustments"));
        let request = request.header("Idempotency-Key", key);
        Ok(Answer::to(request.json(&json!({ "delta": delta, "reason": "a test" }))).await?)
    }

    /// All of a product's movements, newest first, page by page.
    pub async fn ledger(&self, id: i64) -> anyhow::Result<Vec<LedgerEntry>> {
        let mut entries = Vec::new();
        let mut path = format!("/catalog/{id}/ledger?limit=3");
        loop {
            let page: Ledger = Answer::to(self.get(&path)).await?.expect(200)?.json()?;
            entries.extend(page.items);
            match page.next_cursor {
                Some(cursor) => path = format!("/catalog/{id}/ledger?limit=3&cursor={cursor}"),
                None => return Ok(entries),
            }
        }
    }

    /// Of the deltas that could not be applied.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters {
            http: self.0.clone(),
            path: "/dead-letters".to_owned(),
        }
    }
}
