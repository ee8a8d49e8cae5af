//! Values as the database is to have them: in its time zone, points in time out of numbers
//! and text, nothing it would have to guess.

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use sea_orm::DbBackend;
use shared::connect_json::{Logical, Value};

use super::error::WriteError;
use crate::config::{TableRules, TimeZones, TimestampFields};
use crate::dialect::{Dialect, TargetColumn};

const MILLIS_PER_DAY: i64 = 86_400_000;

#[derive(Debug)]
pub(super) struct Binder {
    dialect: &'static dyn Dialect,
    zones: TimeZones,
    timestamps: TimestampFields,
}

impl Binder {
    pub(super) fn new(rules: &TableRules, dialect: &'static dyn Dialect) -> Self {
        Self {
            dialect,
            zones: rules.zones,
            timestamps: rules.timestamps.clone(),
        }
    }

    pub(super) fn bind(
        &self,
        value: &Value,
        column: &TargetColumn,
    ) -> Result<sea_orm::Value, WriteError> {
        if let Some(time) = self.point_in_time(value, column)? {
            return Ok(self.bind_time(time, column));
        }
        let shifted = match self.keeps_instants(column) {
            true => None,
            false => wall_clock(value, &self.zones),
        };
        Ok(self
            .dialect
            .bind(shifted.as_ref().unwrap_or(value), column)?)
    }

    /// What a column of `timestamp.fields.list` holds, in UTC.
    fn point_in_time(
        &self,
        value: &Value,
        column: &TargetColumn,
    ) -> Result<Option<NaiveDateTime>, WriteError> {
        if column.schema.logical != Some(Logical::Timestamp) {
            return Ok(None);
        }
        let time = match value {
            Value::Int64(number) => self.counted(*number),
            Value::String(text) => match text.trim().parse() {
                Ok(number) => self.counted(number),
                Err(_) => written(text.trim()),
            },
            _ => return Ok(None),
        };
        time.map(Some).ok_or_else(|| {
            let name = &column.name;
            WriteError::Data(format!(
                "{value:?} in field \"{name}\" is not a point in time"
            ))
        })
    }

    fn counted(&self, number: i64) -> Option<NaiveDateTime> {
        let micros = match self.timestamps.nanoseconds {
            true => number.div_euclid(1_000),
            false => number,
        };
        DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
    }

    fn bind_time(&self, time: NaiveDateTime, column: &TargetColumn) -> sea_orm::Value {
        if self.dialect.backend() == DbBackend::Sqlite {
            return time
                .format("%Y-%m-%dT%H:%M:%S%.6f+00:00")
                .to_string()
                .into();
        }
        match (column.db_type.as_str(), self.dialect.backend()) {
            ("timestamptz", _) => time.and_utc().into(),
            ("timestamp", DbBackend::MySql) => time.into(),
            _ => at(self.zones.timestamp, time).into(),
        }
    }

    /// Whether a column holds points in time rather than a wall clock's time. Our sessions
    /// on MariaDB are in UTC.
    fn keeps_instants(&self, column: &TargetColumn) -> bool {
        match self.dialect.backend() {
            DbBackend::Sqlite => true,
            DbBackend::Postgres => column.db_type == "timestamptz",
            _ => column.db_type == "timestamp",
        }
    }
}

/// ISO 8601; in UTC where it names no offset.
fn written(text: &str) -> Option<NaiveDateTime> {
    let with_offset = DateTime::parse_from_rfc3339(text);
    let plain = |format| NaiveDateTime::parse_from_str(text, format);
    with_offset
        .map(|time| time.naive_utc())
        .or_else(|_| plain("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|_| plain("%Y-%m-%d %H:%M:%S%.f"))
        .ok()
}

fn at(zone: Tz, utc: NaiveDateTime) -> NaiveDateTime {
    utc.and_utc().with_timezone(&zone).naive_local()
}

/// A value of another date or time, where the zones make it one.
pub(super) fn wall_clock(value: &Value, zones: &TimeZones) -> Option<Value> {
    if *zones == TimeZones::UTC {
        return None;
    }
    match value {
        Value::Timestamp(millis) => shift(*millis, zones.timestamp).map(Value::Timestamp),
        Value::Date(days) => {
            let local = shift(i64::from(*days) * MILLIS_PER_DAY, zones.date)?;
            let days = i32::try_from(local.div_euclid(MILLIS_PER_DAY)).ok()?;
            Some(Value::Date(days))
        }
        // On the first day of 1970, as Java has it.
        Value::Time(millis) => {
            let local = shift(i64::from(*millis), zones.time)?.rem_euclid(MILLIS_PER_DAY);
            i32::try_from(local).ok().map(Value::Time)
        }
        _ => None,
    }
}

fn shift(millis: i64, zone: Tz) -> Option<i64> {
    let utc = DateTime::from_timestamp_millis(millis)?.naive_utc();
    let offset: TimeDelta = at(zone, utc) - utc;
    millis.checked_add(offset.num_milliseconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_point_in_time_with_and_without_an_offset() {
        let expected = written("2016-09-23T20:10:02.123456Z").unwrap();
        assert_eq!(expected.and_utc().timestamp_micros(), 1_474_661_402_123_456);
        for text in [
            "2016-09-23 20:10:02.123456",
            "2016-09-23T22:10:02.123456+02:00",
        ] {
            assert_eq!(written(text), Some(expected));
        }
        assert_eq!(written("yesterday"), None);
    }

    // case 21, case 22
    #[test]
    fn the_zone_moves_the_wall_clock_and_the_date_with_it() {
        let zone = Tz::America__New_York;
        let mut zones = TimeZones {
            timestamp: zone,
            date: zone,
            time: zone,
        };
        let shifted = |value, zones: &TimeZones| wall_clock(&value, zones);
        let timestamp = Value::Timestamp(1_474_661_402_123 - 4 * 3_600_000);
        assert_eq!(
            shifted(Value::Timestamp(1_474_661_402_123), &zones),
            Some(timestamp)
        );
        assert_eq!(
            shifted(Value::Time(73_802_123), &zones),
            Some(Value::Time(55_802_123))
        );
        assert_eq!(
            shifted(Value::Time(0), &zones),
            Some(Value::Time(19 * 3_600_000))
        );
        assert_eq!(
            shifted(Value::Date(17_067), &zones),
            Some(Value::Date(17_066))
        );
        zones.date = Tz::UTC;
        assert_eq!(
            shifted(Value::Date(17_067), &zones),
            Some(Value::Date(17_067))
        );
        assert_eq!(shifted(Value::Date(1), &TimeZones::UTC), None);
    }
}
