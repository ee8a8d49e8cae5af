use std::fmt;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use sea_orm::{ColIdx, DbBackend, DbErr, QueryResult, TryGetError, TryGetable, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A moment in UTC with millisecond precision: what Kafka Connect's `Timestamp` and a
/// `DATETIME(3)` column can both hold. JSON: RFC 3339 with milliseconds and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    pub fn now() -> Self {
        let now = Utc::now();
        Self::from_millis(now.timestamp_millis()).unwrap_or(Self(now))
    }

    /// `None` outside the years that a calendar date can express.
    pub fn from_millis(millis: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(millis).map(Self)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// As bound into a statement. SQLite has no date type and compares text, so there
    /// the text has one fixed form, the one the sink writes.
    pub fn to_value(self, backend: DbBackend) -> Value {
        match backend {
            DbBackend::Sqlite => self
                .0
                .format("%Y-%m-%dT%H:%M:%S%.3f+00:00")
                .to_string()
                .into(),
            _ => self.0.naive_utc().into(),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = DateTime::<Utc>::deserialize(deserializer)?;
        Self::from_millis(time.timestamp_millis())
            .ok_or_else(|| de::Error::custom("timestamp out of range"))
    }
}

impl TryGetable for Timestamp {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let time = NaiveDateTime::try_get_by(row, index)?.and_utc();
        Self::from_millis(time.timestamp_millis())
            .ok_or_else(|| TryGetError::DbErr(DbErr::Type(format!("{time} is out of range"))))
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-11-24T03:13:20.123Z"])
            .into()
    }
}

impl ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_always_has_milliseconds() {
        let time = Timestamp::from_millis(1_700_000_000_000).unwrap();
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.000Z");
        assert_eq!(
            time.to_value(DbBackend::Sqlite),
            Value::from("2023-11-14T22:13:20.000+00:00")
        );
    }
}
