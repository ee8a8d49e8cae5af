use std::time::Instant;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _, Timelike};
use chrono_tz::Tz;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement};
use shared::connect_json::Value;

use super::catalog;
use super::column::{Column, Kind, Misfit};
use super::gaps::Gaps;
use super::offsets::Offset;
use super::relation::Relation;
use crate::config::{Mode, SourceConfig};
use crate::dialect::{self, Dialect};

/// Reads the rows of a table, or of a query, that are new.
pub(super) struct Reader {
    pub(super) relation: Relation,
    pub(super) columns: Vec<Column>,
    dialect: &'static dyn Dialect,
    mode: Mode,
    zone: Tz,
    limit: usize,
    offset: Offset,
    gaps: Gaps,
    /// To look at a query's columns takes a change of the catalog: not at every poll.
    look_at: Instant,
}

/// Rows to produce, in order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Vec<Value>>,
    /// Where the table is once they are produced.
    pub(super) offset: Offset,
    /// There may be more of them now.
    pub(super) more: bool,
    /// Some wait for a gap to be filled.
    pub(super) held: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("{relation}: {problem}")]
    Columns { relation: Relation, problem: String },
    #[error("{relation}")]
    Misfit { relation: Relation, source: Misfit },
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// A row, and what decides whether it is new.
struct Found {
    values: Vec<Value>,
    id: Option<i64>,
    time: Option<NaiveDateTime>,
}

impl Reader {
    pub(super) fn new(
        relation: Relation,
        config: &SourceConfig,
        backend: DbBackend,
        offset: Option<Offset>,
    ) -> Self {
        let initial = match config.mode.initial {
            None => Some(chrono::Utc::now()),
            Some(millis) => DateTime::from_timestamp_millis(millis),
        };
        let initial = initial.map(|time| time.naive_utc());
        let mut offset = offset.unwrap_or_default();
        if config.mode.timestamps.is_empty() {
            offset.timestamp = None;
        } else {
            offset.timestamp = offset.timestamp.or(initial);
        }
        if config.mode.incrementing.is_some() {
            offset.incrementing = offset.incrementing.or(Some(config.mode.initial_id));
        }
        Self {
            relation,
            columns: Vec::new(),
            dialect: dialect::of(backend, config.quoting),
            mode: config.mode.clone(),
            zone: config.columns.zone,
            limit: config.batch_rows,
            offset,
            gaps: Gaps::default(),
            look_at: Instant::now(),
        }
    }

    /// Looks at the columns, if it is time to; whether they have changed.
    pub(super) async fn look(
        &mut self,
        db: &DatabaseConnection,
        config: &SourceConfig,
    ) -> Result<bool, ReadError> {
        if self.is_query() && Instant::now() < self.look_at {
            return Ok(false);
        }
        let columns = catalog::columns(db, &self.relation, config.columns.numeric).await?;
        self.look_at = Instant::now() + config.table_poll_interval;
        if columns == self.columns {
            return Ok(false);
        }
        if columns.is_empty() {
            return Err(self.fault("there is no such table, or none of its columns can be read"));
        }
        self.columns = columns;
        self.check()?;
        Ok(true)
    }

    /// The columns of the mode are there, and say something of every row.
    fn check(&mut self) -> Result<(), ReadError> {
        if self.mode.incrementing.as_deref() == Some("") {
            let counted = self.columns.iter().find(|column| column.counted);
            let name = counted.map(|column| column.name.clone());
            let missing = || {
                self.fault("no column counts up by itself; name one in incrementing.column.name")
            };
            self.mode.incrementing = Some(name.ok_or_else(missing)?);
        }
        let mut times = Vec::new();
        for name in &self.mode.timestamps {
            times.push(self.column(name)?);
        }
        let id = self.mode.incrementing.as_deref();
        let id = id.map(|name| self.column(name)).transpose()?;
        if let Some(wrong) = times.iter().find(|column| !is_time(column)) {
            return Err(self.fault(&format!("column `{}` is not a timestamp", wrong.name)));
        }
        if let Some(wrong) = id.filter(|column| !is_integer(column)) {
            return Err(self.fault(&format!(
                "Invalid type for incrementing column `{}`: it is not an integer",
                wrong.name
            )));
        }
        // A query does not always know, and Confluent's source does not ask it.
        if !self.mode.validate_non_null || self.is_query() {
            return Ok(());
        }
        let advice = "set validate.non.null=false to go on without the rows where it is null";
        if let Some(column) = id.filter(|column| column.optional) {
            return Err(self.fault(&format!(
                "Cannot make incremental queries using incrementing column {} because this \
                 column is nullable; {advice}",
                column.name
            )));
        }
        if !times.is_empty() && times.iter().all(|column| column.optional) {
            return Err(self.fault(&format!(
                "Cannot make incremental queries using timestamp columns {} because all of \
                 them are nullable; {advice}",
                self.mode.timestamps.join(", ")
            )));
        }
        Ok(())
    }

    fn column(&self, name: &str) -> Result<&Column, ReadError> {
        let found = self.columns.iter().find(|column| column.name == name);
        found.ok_or_else(|| self.fault(&format!("there is no column `{name}`")))
    }

    fn fault(&self, problem: &str) -> ReadError {
        ReadError::Columns {
            relation: self.relation.clone(),
            problem: problem.to_owned(),
        }
    }

    /// The next rows. The same again until [`Self::advance`].
    pub(super) async fn read(&mut self, db: &DatabaseConnection) -> Result<Batch, ReadError> {
        match (
            self.mode.incrementing.is_some(),
            self.mode.timestamps.is_empty(),
        ) {
            (true, true) => self.read_by_id(db).await,
            (false, false) => self.read_by_time(db).await,
            (true, false) => self.read_by_both(db).await,
            (false, true) => Ok(Batch::default()),
        }
    }

    pub(super) fn advance(&mut self, offset: Offset) {
        self.offset = offset;
    }

    pub(super) fn is_bulk(&self) -> bool {
        self.mode.is_bulk()
    }

    fn is_query(&self) -> bool {
        matches!(self.relation, Relation::Query(_))
    }

    /// Every row, for the bulk mode.
    pub(super) fn everything(&self) -> Statement {
        self.statement("", Vec::new())
    }

    async fn read_by_id(&mut self, db: &DatabaseConnection) -> Result<Batch, ReadError> {
        let id = self.id_sql();
        if !self.mode.gap_wait.is_zero() {
            let source = self.relation.source(self.dialect);
            let sql = format!(
                "SELECT CAST(MAX({id}) AS {}) AS text FROM {source}",
                self.text()
            );
            let newest = text(db, sql).await?.and_then(|text| text.parse().ok());
            self.gaps.see(newest, self.mode.gap_wait);
        }
        let last = self.offset.incrementing.unwrap_or(-1);
        let condition = format!(
            " WHERE {id} > {} ORDER BY {id} LIMIT {}",
            self.mark(1),
            self.limit
        );
        let mut found = self.find(db, &condition, vec![last.into()]).await?;
        let full = found.len() == self.limit;
        let ready = match self.mode.gap_wait.is_zero() {
            true => found.len(),
            false => self.gaps.ready(last, found.iter().filter_map(|row| row.id)),
        };
        let held = ready < found.len();
        found.truncate(ready);
        Ok(Batch {
            held,
            ..self.batch(found, full && !held)
        })
    }

    async fn read_by_time(&mut self, db: &DatabaseConnection) -> Result<Batch, ReadError> {
        let Some((begin, end)) = self.period(db).await? else {
            return Ok(Batch::default());
        };
        let time = self.time_sql();
        let condition = format!(
            " WHERE {time} > {} AND {time} < {} ORDER BY {time} LIMIT {}",
            self.time_mark(1),
            self.time_mark(2),
            self.limit
        );
        let mut found = self
            .find(db, &condition, vec![begin.into(), end.into()])
            .await?;
        let full = found.len() == self.limit;
        if full {
            // Rows of one time must not be torn: the offset tells them not apart.
            let last = found.last().and_then(|row| row.time);
            found.retain(|row| row.time != last);
            if let (true, Some(last)) = (found.is_empty(), last) {
                let condition = format!(" WHERE {time} = {}", self.time_mark(1));
                let values = vec![self.written(last).into()];
                found = self.find(db, &condition, values).await?;
            }
        }
        Ok(self.batch(found, full))
    }

    async fn read_by_both(&mut self, db: &DatabaseConnection) -> Result<Batch, ReadError> {
        let Some((begin, end)) = self.period(db).await? else {
            return Ok(Batch::default());
        };
        let (time, id) = (self.time_sql(), self.id_sql());
        let condition = format!(
            " WHERE {time} < {} AND (({time} = {} AND {id} > {}) OR {time} > {}) \
             ORDER BY {time}, {id} LIMIT {}",
            self.time_mark(1),
            self.time_mark(2),
            self.mark(3),
            self.time_mark(4),
            self.limit
        );
        let last = self.offset.incrementing.unwrap_or(-1);
        let values = vec![end.into(), begin.clone().into(), last.into(), begin.into()];
        let found = self.find(db, &condition, values).await?;
        let full = found.len() == self.limit;
        Ok(self.batch(found, full))
    }

    fn batch(&self, found: Vec<Found>, more: bool) -> Batch {
        let mut offset = self.offset;
        if let Some(last) = found.last() {
            offset.incrementing = last.id.or(offset.incrementing);
            offset.timestamp = last.time.or(offset.timestamp);
        }
        Batch {
            rows: found.into_iter().map(|row| row.values).collect(),
            offset,
            more,
            held: false,
        }
    }

    /// From the offset to the database's now, less the delay, as the columns spell them. What
    /// the column's clock may still add to its running tick is left for later.
    async fn period(&self, db: &DatabaseConnection) -> Result<Option<(String, String)>, ReadError> {
        let sql = match self.dialect.backend() {
            DbBackend::Postgres => "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::text AS text",
            DbBackend::Sqlite => "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') AS text",
            _ => "SELECT CAST(UTC_TIMESTAMP(6) AS CHAR) AS text",
        };
        let now = text(db, sql.to_owned()).await?.unwrap_or_default();
        let now = NaiveDateTime::parse_from_str(&now, "%Y-%m-%d %H:%M:%S%.f").ok();
        let delay = TimeDelta::from_std(self.mode.delay).unwrap_or_default();
        let (Some(begin), Some(now)) = (self.offset.timestamp, now) else {
            return Ok(None);
        };
        let digits = match self.first_time().map(|column| column.kind) {
            Some(Kind::Timestamp(digits) | Kind::Instant(digits)) => digits,
            _ => 0,
        };
        let end = tick_of(now - delay, digits);
        Ok(Some((self.written(begin), self.written(end))))
    }

    async fn find(
        &self,
        db: &DatabaseConnection,
        condition: &str,
        values: Vec<sea_orm::Value>,
    ) -> Result<Vec<Found>, ReadError> {
        let rows = db.query_all_raw(self.statement(condition, values)).await?;
        rows.iter().map(|row| self.found(row)).collect()
    }

    fn statement(&self, condition: &str, values: Vec<sea_orm::Value>) -> Statement {
        let backend = self.dialect.backend();
        let columns = self.columns.iter();
        let columns =
            columns.map(|column| column.select(&self.dialect.quote(&column.name), backend));
        // As it is compared: SQLite rounds what it compares.
        let time = self.first_time();
        let time = time.map(|column| column.select(&self.time_sql(), backend));
        let columns: Vec<_> = columns.chain(time).collect();
        let source = self.relation.source(self.dialect);
        let sql = format!("SELECT {} FROM {source}{condition}", columns.join(", "));
        Statement::from_sql_and_values(backend, sql, values)
    }

    pub(super) fn values(&self, row: &QueryResult) -> Result<Vec<Value>, ReadError> {
        self.found(row).map(|found| found.values)
    }

    fn found(&self, row: &QueryResult) -> Result<Found, ReadError> {
        let mut found = Found {
            values: Vec::with_capacity(self.columns.len()),
            id: None,
            time: None,
        };
        for (index, column) in self.columns.iter().enumerate() {
            let text: Option<String> = row.try_get_by_index(index)?;
            let value = column.value(text.as_deref(), self.zone);
            let value = value.map_err(|source| ReadError::Misfit {
                relation: self.relation.clone(),
                source,
            })?;
            if self.mode.incrementing.as_ref() == Some(&column.name) {
                let digits = text.as_deref().map(|text| text.trim_end_matches(".0"));
                found.id = digits.and_then(|text| text.parse().ok());
            }
            found.values.push(value);
        }
        if let Some(column) = self.first_time() {
            let text: Option<String> = row.try_get_by_index(self.columns.len())?;
            found.time = text.and_then(|text| column.instant(&text, self.zone));
        }
        Ok(found)
    }

    fn text(&self) -> &'static str {
        match self.dialect.backend() {
            DbBackend::MySql => "CHAR",
            _ => "TEXT",
        }
    }

    fn mark(&self, index: usize) -> String {
        match self.dialect.backend() {
            DbBackend::Postgres => format!("${index}"),
            _ => "?".to_owned(),
        }
    }

    fn id_sql(&self) -> String {
        self.qualified(self.mode.incrementing.as_deref().unwrap_or_default())
    }

    /// PostgreSQL takes a bare name in `ORDER BY` for that of a selected text, which has
    /// another order.
    fn qualified(&self, name: &str) -> String {
        format!("src.{}", self.dialect.quote(name))
    }

    fn time_sql(&self) -> String {
        let names = self.mode.timestamps.iter();
        let mut names: Vec<_> = names.map(|name| self.qualified(name)).collect();
        if self.dialect.backend() == DbBackend::Sqlite {
            let form = |name: &String| format!("strftime('%Y-%m-%d %H:%M:%f', {name})");
            names = names.iter().map(form).collect();
        }
        match &names[..] {
            [one] => one.clone(),
            _ => format!("COALESCE({})", names.join(", ")),
        }
    }

    fn time_mark(&self, index: usize) -> String {
        let mark = self.mark(index);
        match (
            self.dialect.backend(),
            self.first_time().map(|column| column.kind),
        ) {
            (DbBackend::Postgres, Some(Kind::Instant(_))) => {
                format!("(CAST({mark} AS timestamp) AT TIME ZONE 'UTC')")
            }
            (DbBackend::Postgres, _) => format!("CAST({mark} AS timestamp)"),
            (DbBackend::Sqlite, _) => mark,
            _ => format!("CAST({mark} AS DATETIME(6))"),
        }
    }

    fn first_time(&self) -> Option<&Column> {
        let name = self.mode.timestamps.first()?;
        self.columns.iter().find(|column| column.name == *name)
    }

    /// A point in time as the columns spell it.
    fn written(&self, utc: NaiveDateTime) -> String {
        let local = match self.first_time().map(|column| column.kind) {
            Some(Kind::Timestamp(_)) => self.zone.from_utc_datetime(&utc).naive_local(),
            _ => utc,
        };
        let form = match self.dialect.backend() {
            DbBackend::Sqlite => "%Y-%m-%d %H:%M:%S%.3f",
            _ => "%Y-%m-%d %H:%M:%S%.6f",
        };
        local.format(form).to_string()
    }
}

async fn text(db: &DatabaseConnection, sql: String) -> Result<Option<String>, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    match db.query_one_raw(statement).await? {
        Some(row) => row.try_get("", "text"),
        None => Ok(None),
    }
}

fn is_time(column: &Column) -> bool {
    matches!(column.kind, Kind::Timestamp(_) | Kind::Instant(_))
}

fn is_integer(column: &Column) -> bool {
    let scale_0 = Kind::Decimal(0);
    column.kind == scale_0
        || matches!(
            column.kind,
            Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64
        )
}

/// The beginning of the tick that a clock of so many decimal digits shows.
fn tick_of(time: NaiveDateTime, digits: u32) -> NaiveDateTime {
    let step = 10_u32.pow(9_u32.saturating_sub(digits));
    let nanos = time.nanosecond();
    time.with_nanosecond(nanos - nanos % step).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_tick_is_left_for_later() {
        let time = timestamp("2026-11-24 10:00:01.987654");
        assert_eq!(tick_of(time, 0), timestamp("2026-11-24 10:00:01"));
        assert_eq!(tick_of(time, 3), timestamp("2026-11-24 10:00:01.987"));
        assert_eq!(tick_of(time, 6), time);
    }

    fn timestamp(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap()
    }
}
