use serde::Serialize;
use utoipa::ToSchema;

use super::FieldError;

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

/// A part of a list, for keyset pagination.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// How many items a page may have: 1 to 200, 50 if the client does not say.
pub fn page_limit(asked: Option<i64>) -> Result<u64, FieldError> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    u64::try_from(limit)
        .ok()
        .filter(|_| (1..=MAX_LIMIT).contains(&limit))
        .ok_or_else(|| FieldError::new("limit", format!("must be 1 to {MAX_LIMIT}")))
}

/// For a cursor that no page of the list gave out.
pub fn bad_cursor() -> FieldError {
    FieldError::new("cursor", "must be a `next_cursor` of this list")
}

impl<T> Page<T> {
    /// From a query that asked for one item more than the page holds.
    pub fn of(mut items: Vec<T>, limit: u64, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Self { items, next_cursor }
    }
}
