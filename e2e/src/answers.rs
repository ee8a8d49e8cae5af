//! What a load generator was answered, one JSON object a line: what `verify` holds the pair to.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use shared::contract::OrderId;
use tokio::sync::Mutex;

/// One request and what became of it. `status` is the HTTP status; none: the connection broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "lowercase", deny_unknown_fields)]
pub enum Answered {
    /// `POST /orders`. `id` is the order's, where the answer told it.
    Order {
        status: Option<u16>,
        id: Option<OrderId>,
        user_id: i64,
        product_id: i64,
        qty: i32,
        /// In minor units of the currency.
        unit_price: i64,
        /// The `Idempotency-Key`.
        key: Option<String>,
    },
    /// `POST /orders/{id}/cancel`.
    Cancel { status: Option<u16>, id: OrderId },
    /// `POST /catalog/{product_id}/adjustments`.
    Adjustment {
        status: Option<u16>,
        product_id: i64,
        delta: i64,
        key: String,
    },
}

/// Writes answers as they come; many tasks may share one.
#[derive(Debug)]
pub struct Recorder(Mutex<File>);

impl Recorder {
    /// Makes the file anew.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(Mutex::new(file)))
    }

    /// A line is in the file, whole, when this returns: it outlives the recorder's process.
    pub async fn record(&self, answered: &Answered) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(answered)?;
        line.push(b'\n');
        Ok(self.0.lock().await.write_all(&line)?)
    }
}

/// Reads a file of answers line by line.
#[derive(Debug)]
pub struct Answers {
    name: String,
    number: usize,
    lines: Lines<BufReader<File>>,
}

impl Answers {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        Ok(Self {
            name,
            number: 0,
            lines: BufReader::new(file).lines(),
        })
    }

    fn parse(&self, line: std::io::Result<String>) -> anyhow::Result<Answered> {
        serde_json::from_str(&line?)
            .with_context(|| format!("{}, line {}: not an answer", self.name, self.number))
    }
}

impl Iterator for Answers {
    type Item = anyhow::Result<Answered>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        self.number += 1;
        Some(self.parse(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_recorded_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let answered = Answered::Cancel {
            status: None,
            id: OrderId::random(),
        };
        let recorder = Recorder::create(&path).unwrap();
        recorder.record(&answered).await.unwrap();
        let read: Vec<_> = Answers::open(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, [answered]);
    }

    #[test]
    fn a_line_that_is_no_answer_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        let error = Answers::open(&path).unwrap().next().unwrap().unwrap_err();
        assert!(
            error.to_string().ends_with("line 1: not an answer"),
            "{error}"
        );
    }
}
