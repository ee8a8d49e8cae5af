use std::cmp::Reverse;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use shared::http::DeadLetter;

use super::page;
use crate::settings::LetterSource;
use crate::snapshot::Letters;

/// As many as a person looks at.
const SHOWN: usize = 20;
/// Characters of a payload: it may be a megabyte, and this goes to every page twice a second.
const LONGEST: usize = 500;
const PER_PAGE: usize = 200;
/// A service reads its topic to the end for each.
const PAGES: usize = 5;
/// That takes longer than to say how it is.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The dead letters of one service that wait to be put back.
pub(super) struct LetterBox {
    source: LetterSource,
    found: Found,
}

#[derive(Default)]
struct Found {
    waiting: Vec<Value>,
    has_more: bool,
}

impl LetterBox {
    pub(super) fn new(source: LetterSource) -> Self {
        Self {
            source,
            found: Found::default(),
        }
    }

    /// While nobody answers, what was seen last stays.
    pub(super) async fn look(&mut self, client: &Client) {
        let found = match self.listed(client).await {
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => self.read().await,
            listed => listed.ok(),
        };
        let Some(mut found) = found else {
            return;
        };
        (found.waiting).retain(|letter| letter["replayed_at"].is_null());
        for letter in &mut found.waiting {
            letter["source"] = json!(self.source.name);
            shorten(letter);
        }
        self.found = found;
    }

    async fn listed(&self, client: &Client) -> reqwest::Result<Found> {
        let mut waiting = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let url = format!("{}?limit={PER_PAGE}{cursor}", self.source.url);
            let page = page(client, url, TIMEOUT).await?;
            waiting.extend(page.items);
            cursor = match page.next_cursor {
                Some(next) => format!("&cursor={next}"),
                None => String::new(),
            };
            if cursor.is_empty() {
                break;
            }
        }
        Ok(Found {
            waiting,
            has_more: !cursor.is_empty(),
        })
    }

    /// Kafka Connect itself offers no list, and puts nothing back.
    async fn read(&self) -> Option<Found> {
        let limit = PAGES * PER_PAGE;
        let letters = self.source.topic.as_ref()?.page(None, limit + 1).await;
        let letters = letters.ok()?;
        let shown = letters.iter().take(limit).map(|letter| {
            let mut letter = json!(DeadLetter::from(letter));
            letter["unlisted"] = json!(true);
            letter
        });
        Some(Found {
            waiting: shown.collect(),
            has_more: letters.len() > limit,
        })
    }
}

/// The newest of all.
pub(super) fn newest(boxes: &[LetterBox]) -> Letters {
    let found = || boxes.iter().map(|letters| &letters.found);
    let mut letters: Vec<_> = found().flat_map(|found| &found.waiting).collect();
    letters
        .sort_by_key(|letter| Reverse((letter["timestamp"].as_str(), letter["offset"].as_i64())));
    Letters {
        count: letters.len(),
        has_more: found().any(|found| found.has_more),
        newest: letters.into_iter().take(SHOWN).cloned().collect(),
    }
}

fn shorten(letter: &mut Value) {
    if let Some(Value::String(text)) = letter.pointer_mut("/payload/text")
        && let Some((end, _)) = text.char_indices().nth(LONGEST)
    {
        text.replace_range(end.., " …");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(timestamps: &[&str]) -> LetterBox {
        let source = LetterSource {
            name: "test",
            url: String::new(),
            topic: None,
        };
        let letter = |at: &&str| json!({"timestamp": at, "offset": 0});
        let found = Found {
            waiting: timestamps.iter().map(letter).collect(),
            has_more: false,
        };
        LetterBox { source, found }
    }

    #[test]
    fn the_newest_of_all_are_shown_and_all_are_counted() {
        let old = ["2026-01-01T00:00:00.000Z"; SHOWN];
        let (of_one, of_other) = (letters(&old), letters(&["2026-01-02T00:00:00.000Z"]));
        let found = newest(&[of_one, of_other]);
        assert_eq!((found.count, found.newest.len()), (SHOWN + 1, SHOWN));
        assert_eq!(found.newest[0]["timestamp"], "2026-01-02T00:00:00.000Z");
    }
}
