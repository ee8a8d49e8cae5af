use reqwest::StatusCode;
use serde::Deserialize;
use shared::contract::Timestamp;

use crate::eventually::eventually;
use crate::http::{Answer, Http};

/// Dead letters as the API of their service shows them.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub(crate) http: Http,
    pub(crate) path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeadLetter {
    pub partition: i32,
    pub offset: i64,
    pub reason: String,
    pub original: Original,
    pub payload: Option<DeadBytes>,
    pub timestamp: Timestamp,
    pub replayed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Original {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeadBytes {
    pub encoding: String,
    pub text: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<DeadLetter>,
    next_cursor: Option<String>,
}

impl DeadLetters {
    /// All of them, page by page.
    pub async fn all(&self) -> anyhow::Result<Vec<DeadLetter>> {
        let first = format!("{}?limit=20", self.path);
        let mut letters = Vec::new();
        let mut path = first.clone();
        loop {
            let page: Page = Answer::to(self.http.get(&path))
                .await?
                .expect(200)?
                .json()?;
            letters.extend(page.items);
            match page.next_cursor {
                Some(cursor) => path = format!("{first}&cursor={cursor}"),
                None => return Ok(letters),
            }
        }
    }

    /// Waits for the letter with this text in its payload.
    pub async fn about(&self, text: &str) -> anyhow::Result<DeadLetter> {
        eventually("the dead letter is listed", async || {
            let letters = self.all().await?;
            let is_it = |letter: &DeadLetter| {
                let payload = letter.payload.as_ref();
                payload.is_some_and(|payload| payload.text.contains(text))
            };
            Ok(letters.into_iter().find(is_it))
        })
        .await
    }

    pub async fn replay(&self, letter: &DeadLetter) -> anyhow::Result<Answer> {
        let (partition, offset) = (letter.partition, letter.offset);
        let path = format!("{}/{partition}/{offset}/replay", self.path);
        Ok(Answer::to(self.http.post(&path)).await?)
    }

    /// Asks until the answer is 200: another replay may be under way.
    pub async fn put_back(&self, letter: &DeadLetter) -> anyhow::Result<Answer> {
        eventually("the letter is put back", async || {
            let answer = self.replay(letter).await?;
            Ok((answer.status == StatusCode::OK).then_some(answer))
        })
        .await
    }
}
