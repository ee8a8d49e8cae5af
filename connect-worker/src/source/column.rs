use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;
use sea_orm::DbBackend;
use shared::connect_json::{Logical, Schema, Type, Value};

/// A column that becomes a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) optional: bool,
    /// The database counts it up.
    pub(super) counted: bool,
}

/// What a column becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Text,
    /// PostgreSQL's `char(n)`: a cast to text would take its spaces away.
    Padded,
    Bytes,
    /// MariaDB's `bit(n)`, in so many bytes.
    Bits(usize),
    Decimal(i32),
    Date,
    /// MariaDB's `year`: its first day.
    Year,
    Time,
    /// Wall-clock time in the connector's zone, in steps of 10^-digits seconds.
    Timestamp(u32),
    /// An instant, likewise.
    Instant(u32),
}

/// A value that its field cannot hold. It ends the task: a source has no dead letters.
#[derive(Debug, thiserror::Error)]
#[error("column `{column}`: `{text}` does not fit {kind}")]
pub(super) struct Misfit {
    column: String,
    text: String,
    kind: String,
}

impl Column {
    pub(super) fn schema(&self) -> Schema {
        let (kind, logical) = match self.kind {
            Kind::Bool => (Type::Boolean, None),
            Kind::Int8 => (Type::Int8, None),
            Kind::Int16 => (Type::Int16, None),
            Kind::Int32 => (Type::Int32, None),
            Kind::Int64 => (Type::Int64, None),
            Kind::Float32 => (Type::Float32, None),
            Kind::Float64 => (Type::Float64, None),
            Kind::Text | Kind::Padded => (Type::String, None),
            Kind::Bytes | Kind::Bits(_) => (Type::Bytes, None),
            Kind::Decimal(scale) => (Type::Bytes, Some(Logical::Decimal { scale: Some(scale) })),
            Kind::Date | Kind::Year => (Type::Int32, Some(Logical::Date)),
            Kind::Time => (Type::Int32, Some(Logical::Time)),
            Kind::Timestamp(_) | Kind::Instant(_) => (Type::Int64, Some(Logical::Timestamp)),
        };
        let mut schema = Schema::required(kind);
        schema.optional = self.optional;
        if let Some(logical) = logical {
            let name = match logical {
                Logical::Decimal { .. } => "Decimal",
                Logical::Date => "Date",
                Logical::Time => "Time",
                Logical::Timestamp => "Timestamp",
            };
            schema.name = Some(format!("org.apache.kafka.connect.data.{name}"));
            schema.version = Some(1);
            schema.logical = Some(logical);
        }
        if let Kind::Decimal(scale) = self.kind {
            schema.parameters = [("scale".to_owned(), scale.to_string())].into();
        }
        schema
    }

    /// An expression for the column as text that [`Self::value`] reads. Text is the one form
    /// in which every database hands out every type without loss.
    pub(super) fn select(&self, quoted: &str, backend: DbBackend) -> String {
        match backend {
            DbBackend::Postgres => match self.kind {
                Kind::Bytes => format!("encode({quoted}, 'hex')"),
                Kind::Padded => format!("textin(bpcharout({quoted}))"),
                Kind::Instant(_) => format!("({quoted} AT TIME ZONE 'UTC')::text"),
                _ => format!("{quoted}::text"),
            },
            DbBackend::Sqlite => match self.kind {
                // Both make something of a null.
                Kind::Bytes => format!("iif({quoted} IS NULL, NULL, hex({quoted}))"),
                Kind::Float32 | Kind::Float64 => {
                    format!("iif({quoted} IS NULL, NULL, printf('%!.17g', {quoted}))")
                }
                _ => format!("CAST({quoted} AS TEXT)"),
            },
            _ => match self.kind {
                Kind::Bytes | Kind::Bits(_) => format!("HEX({quoted})"),
                // A float's own text has six digits.
                Kind::Float32 => format!("CAST(CAST({quoted} AS DOUBLE) AS CHAR)"),
                Kind::Int8 => format!("CAST({quoted} + 0 AS CHAR)"),
                _ => format!("CAST({quoted} AS CHAR)"),
            },
        }
    }

    pub(super) fn value(&self, text: Option<&str>, zone: Tz) -> Result<Value, Misfit> {
        let Some(text) = text else {
            return Ok(Value::Null);
        };
        let value = match self.kind {
            Kind::Bool => boolean(text).map(Value::Bool),
            Kind::Int8 => text.parse().ok().map(Value::Int8),
            Kind::Int16 => text.parse().ok().map(Value::Int16),
            Kind::Int32 => text.parse().ok().map(Value::Int32),
            Kind::Int64 => text.parse().ok().map(Value::Int64),
            Kind::Float32 => text.parse().ok().map(Value::Float32),
            Kind::Float64 => text.parse().ok().map(Value::Float64),
            Kind::Text | Kind::Padded => Some(Value::String(text.to_owned())),
            Kind::Bytes => unhex(text).map(Value::Bytes),
            Kind::Bits(bytes) => {
                unhex(&format!("{text:0>width$}", width = bytes * 2)).map(Value::Bytes)
            }
            Kind::Decimal(scale) => decimal(text, scale).map(Value::Decimal),
            Kind::Date => date(text).and_then(days).map(Value::Date),
            Kind::Year => date(&format!("{text}-01-01"))
                .and_then(days)
                .map(Value::Date),
            Kind::Time => time(text, zone).map(Value::Time),
            Kind::Timestamp(_) | Kind::Instant(_) => self
                .instant(text, zone)
                .map(|time| Value::Timestamp(time.and_utc().timestamp_millis())),
        };
        value.ok_or_else(|| self.misfit(text))
    }

    /// In UTC, to the last digit.
    pub(super) fn instant(&self, text: &str, zone: Tz) -> Option<NaiveDateTime> {
        let written = timestamp(text)?;
        match self.kind {
            Kind::Timestamp(_) if zone != Tz::UTC => {
                // The earlier of two; of none, what the clock was put forward to.
                let local = written.and_local_timezone(zone);
                let later = || (written + TimeDelta::hours(1)).and_local_timezone(zone);
                let found = local.earliest().or_else(|| later().earliest())?;
                Some(found.naive_utc())
            }
            _ => Some(written),
        }
    }

    fn misfit(&self, text: &str) -> Misfit {
        const SHOWN: usize = 100;
        let kind = match self.kind {
            Kind::Decimal(scale) => {
                format!("a decimal of scale {scale}; give the column a precision and a scale")
            }
            Kind::Time => "a time of day".to_owned(),
            Kind::Date | Kind::Year => "a date".to_owned(),
            Kind::Timestamp(_) | Kind::Instant(_) => "a timestamp".to_owned(),
            _ => self.schema().kind.name().to_owned(),
        };
        Misfit {
            column: self.name.clone(),
            text: text.chars().take(SHOWN).collect(),
            kind,
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "t" => Some(true),
        "0" | "false" | "f" => Some(false),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

/// A number of at most so many decimal places, brought to exactly so many.
fn decimal(text: &str, scale: i32) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let digits = text.trim_start_matches('-').replacen('.', "", 1);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (kept, lost) = fraction.split_at(scale.min(fraction.len()));
    if lost.bytes().any(|digit| digit != b'0') {
        return None;
    }
    if scale == 0 {
        return Some(whole.to_owned());
    }
    Some(format!("{whole}.{kept:0<scale$}"))
}

/// SQLite's may have a time behind it.
fn date(text: &str) -> Option<NaiveDate> {
    let day = text.split([' ', 'T']).next()?;
    day.parse().ok()
}

fn days(date: NaiveDate) -> Option<i32> {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok()
}

/// In UTC, on the first day of 1970, as Java has it.
fn time(text: &str, zone: Tz) -> Option<i32> {
    let time: NaiveTime = text.parse().ok()?;
    let local = NaiveDate::default().and_time(time);
    let utc = local.and_local_timezone(zone).earliest()?.naive_utc();
    let seconds = i32::try_from(utc.num_seconds_from_midnight()).ok()?;
    let millis = i32::try_from(utc.nanosecond() / 1_000_000).ok()?;
    Some(seconds * 1_000 + millis)
}

/// `2026-11-24 10:00:00.123456`, with `T` and `+00:00` or without.
fn timestamp(text: &str) -> Option<NaiveDateTime> {
    let text = text.replacen('T', " ", 1);
    // PostgreSQL's own text of an instant ends in +00.
    let text = text
        .trim_end_matches("+00:00")
        .trim_end_matches("+00")
        .trim_end_matches('Z');
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: Kind, text: &str) -> Option<Value> {
        zoned(kind, text, Tz::UTC)
    }

    fn zoned(kind: Kind, text: &str, zone: Tz) -> Option<Value> {
        let column = Column {
            name: "c".to_owned(),
            kind,
            optional: true,
            counted: false,
        };
        column.value(Some(text), zone).ok()
    }

    #[test]
    fn a_point_in_time_is_read_however_its_database_writes_utc() {
        let forms = [
            "2026-11-24 10:00:00.5",
            "2026-11-24T10:00:00.5Z",
            "2026-11-24 10:00:00.500+00",
            "2026-11-24T10:00:00.500+00:00",
        ];
        let times = forms.map(|text| timestamp(text).unwrap());
        assert_eq!(times, [times[0]; 4]);
    }

    #[test]
    fn text_becomes_the_value_of_its_field() {
        let noon = Value::Timestamp(1_627_815_857_123);
        for (kind, text, expected) in [
            (Kind::Int8, "-128", Value::Int8(-128)),
            (Kind::Bool, "t", Value::Bool(true)),
            (Kind::Float32, "0.10000000149011612", Value::Float32(0.1)),
            (Kind::Bytes, "00fF", Value::Bytes(vec![0, 255])),
            (Kind::Bits(2), "105", Value::Bytes(vec![1, 5])),
            (Kind::Decimal(2), "-1.5", Value::Decimal("-1.50".to_owned())),
            (Kind::Decimal(0), "12.00", Value::Decimal("12".to_owned())),
            (Kind::Date, "1969-12-31", Value::Date(-1)),
            (Kind::Year, "1971", Value::Date(365)),
            (Kind::Time, "20:30:02.1239", Value::Time(73_802_123)),
            (
                Kind::Timestamp(6),
                "2021-08-01 11:04:17.123456",
                noon.clone(),
            ),
            (Kind::Timestamp(3), "2021-08-01T11:04:17.123+00:00", noon),
        ] {
            assert_eq!(value(kind, text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (kind, text) in [
            (Kind::Int8, "128"),
            (Kind::Int64, "18446744073709551615"),
            (Kind::Decimal(0), "1.5"),
            (Kind::Decimal(2), "NaN"),
            (Kind::Date, "0000-00-00"),
            (Kind::Date, "infinity"),
            (Kind::Time, "838:59:59"),
            (Kind::Time, "-01:00:00"),
            (Kind::Timestamp(0), "infinity"),
        ] {
            assert_eq!(value(kind, text), None, "{text}");
        }
    }

    #[test]
    fn the_zone_is_that_of_columns_without_one() {
        let zone = Tz::America__New_York;
        let utc = Value::Timestamp(1_474_661_402_123);
        let text = "2016-09-23 16:10:02.123";
        assert_eq!(zoned(Kind::Timestamp(3), text, zone), Some(utc.clone()));
        let text = "2016-09-23 20:10:02.123";
        assert_eq!(zoned(Kind::Instant(3), text, zone), Some(utc));
        // The hour that the clocks left out.
        assert!(zoned(Kind::Timestamp(0), "2016-03-13 02:30:00", zone).is_some());
    }
}
