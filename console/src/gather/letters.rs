use std::cmp::Reverse;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::Page;
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
    waiting: Vec<Value>,
    has_more: bool,
}

impl LetterBox {
    pub(super) fn new(source: LetterSource) -> Self {
        Self {
            source,
            waiting: Vec::new(),
            has_more: false,
        }
    }

    /// While the service does not answer, what was seen last stays. Kafka Connect itself has
    /// none to show.
    pub(super) async fn look(&mut self, client: &Client) {
        let mut waiting = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let url = format!("{}?limit={PER_PAGE}{cursor}", self.source.url);
            let Ok(page) = page(client, url).await else {
                return;
            };
            let letters = page.items.into_iter();
            waiting.extend(letters.filter(|letter| letter["replayed_at"].is_null()));
            cursor = match page.next_cursor {
                Some(next) => format!("&cursor={next}"),
                None => String::new(),
            };
            if cursor.is_empty() {
                break;
            }
        }
        for letter in &mut waiting {
            letter["source"] = json!(self.source.name);
            shorten(letter);
        }
        self.has_more = !cursor.is_empty();
        self.waiting = waiting;
    }
}

async fn page(client: &Client, url: String) -> reqwest::Result<Page<Value>> {
    let answer = client.get(url).timeout(TIMEOUT).send().await?;
    answer.error_for_status()?.json().await
}

/// The newest of all.
pub(super) fn newest(boxes: &[LetterBox]) -> Letters {
    let mut letters: Vec<_> = boxes.iter().flat_map(|letters| &letters.waiting).collect();
    letters
        .sort_by_key(|letter| Reverse((letter["timestamp"].as_str(), letter["offset"].as_i64())));
    Letters {
        count: letters.len(),
        has_more: boxes.iter().any(|letters| letters.has_more),
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
        };
        let letter = |at: &&str| json!({"timestamp": at, "offset": 0});
        LetterBox {
            waiting: timestamps.iter().map(letter).collect(),
            ..LetterBox::new(source)
        }
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
