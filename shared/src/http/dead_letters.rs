//! A dead-letter topic as an API shows it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{FieldError, Page, bad_cursor, page_limit};
use crate::contract::Timestamp;
use crate::kafka::{DeadLetterTopic, Letter, LetterAddress};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListLetters {
    /// Items per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A record that could not be handled.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    /// With `offset`, where the letter is: its address for a replay.
    partition: i32,
    offset: i64,
    reason: Option<String>,
    /// Where the record came from.
    original: Original,
    key: Option<Bytes>,
    payload: Option<Bytes>,
    /// What of the record is missing, if anything.
    truncated: Option<String>,
    /// The record's own time.
    timestamp: Option<Timestamp>,
    /// When it was put back.
    replayed_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Original {
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Bytes {
    encoding: Encoding,
    text: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) enum Encoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

/// What a replay answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayAnswer {
    #[schema(example = "replayed")]
    pub status: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("the query makes no sense")]
    Query(Vec<FieldError>),
    #[error(transparent)]
    Broker(#[from] KafkaError),
}

impl ListLetters {
    /// The page asked for: by partition, oldest first.
    pub async fn of(&self, topic: &DeadLetterTopic) -> Result<Page<DeadLetter>, ListError> {
        let (after, limit) = self.position().map_err(ListError::Query)?;
        let one_more = usize::try_from(limit + 1).unwrap_or(usize::MAX);
        let found = topic.page(after, one_more).await?;
        let items = found.iter().map(DeadLetter::from).collect();
        Ok(Page::of(items, limit, |last: &DeadLetter| {
            let address = LetterAddress {
                partition: last.partition,
                offset: last.offset,
            };
            address.to_string()
        }))
    }

    fn position(&self) -> Result<(Option<LetterAddress>, u64), Vec<FieldError>> {
        let after = self.cursor.as_deref().map(str::parse).transpose();
        match (page_limit(self.limit), after) {
            (Ok(limit), Ok(after)) => Ok((after, limit)),
            (limit, after) => {
                let cursor = after.err().map(|_| bad_cursor());
                Err(limit.err().into_iter().chain(cursor).collect())
            }
        }
    }
}

impl From<&Letter> for DeadLetter {
    fn from(letter: &Letter) -> Self {
        let LetterAddress { partition, offset } = letter.address();
        let message = &letter.message;
        let time = message.timestamp().to_millis();
        Self {
            partition,
            offset,
            reason: letter.reason().map(str::to_owned),
            original: Original::from(letter),
            key: message.key().map(Bytes::from),
            payload: message.payload().map(Bytes::from),
            truncated: letter.told("truncated").map(str::to_owned),
            timestamp: time.and_then(Timestamp::from_millis),
            replayed_at: letter.replayed_at.and_then(Timestamp::from_millis),
        }
    }
}

impl From<&Letter> for Original {
    fn from(letter: &Letter) -> Self {
        Self {
            topic: letter.told("topic").map(str::to_owned),
            partition: letter.told("partition").and_then(|n| n.parse().ok()),
            offset: letter.told("offset").and_then(|n| n.parse().ok()),
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self {
                encoding: Encoding::Utf8,
                text: text.to_owned(),
            },
            Err(_) => Self {
                encoding: Encoding::Base64,
                text: BASE64_STANDARD.encode(bytes),
            },
        }
    }
}
