use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::sqlx::{self, error::DatabaseError};
use sea_orm::{DbErr, RuntimeErr};

use crate::dialect::BindError;

/// Why a task cannot go on; its text is the `trace` of the task's status.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("{0}")]
    Config(String),
    /// The table is not what the configuration needs it to be.
    #[error("{0}")]
    Table(String),
    #[error("Tolerance exceeded in error handler")]
    BadRecord(#[from] BadRecord),
    #[error("giving up after {retries} retries")]
    Database { retries: u32, source: DbErr },
    #[error("no connection to the database after {attempts} attempts")]
    Connection { attempts: u32, source: DbErr },
    #[error("the database refuses a statement")]
    Refused(#[source] DbErr),
    #[error("the dead-letter topic does not take a record")]
    DeadLetter(#[source] rdkafka::error::KafkaError),
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
}

impl TaskError {
    pub(crate) fn of_url(error: &DbErr) -> Self {
        Self::Config(format!("connection.url: {error}"))
    }

    /// The error and its causes, one per line.
    pub fn trace(&self) -> String {
        let mut trace = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            trace.push_str("\nCaused by: ");
            trace.push_str(&error.to_string());
            cause = error.source();
        }
        trace
    }
}

/// The step of a record's way at which it turned out to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Key,
    Value,
    /// In the transform of this Java class.
    Transformation(&'static str),
    Put,
}

impl Stage {
    /// As Connect names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "KEY_CONVERTER",
            Self::Value => "VALUE_CONVERTER",
            Self::Transformation(_) => "TRANSFORMATION",
            Self::Put => "TASK_PUT",
        }
    }
}

/// A record that can never be written.
#[derive(Debug, thiserror::Error)]
#[error("{topic}-{partition}@{offset}: {message}")]
pub struct BadRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub stage: Stage,
    pub message: String,
    /// The Java exception that Connect would name.
    pub exception: &'static str,
}

/// Why rows were not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// One of the rows can never be written.
    #[error("{0}")]
    Data(String),
    /// A statement has one key twice, by an equality of the database's own.
    #[error("{0}")]
    KeyTwice(String),
    #[error("{0}")]
    Table(String),
    /// A statement does not fit the table: it may have changed since we looked.
    #[error(transparent)]
    Structure(DbErr),
    /// Broken for now: connections, locks, space.
    #[error(transparent)]
    Infrastructure(DbErr),
}

impl From<BindError> for WriteError {
    fn from(error: BindError) -> Self {
        Self::Data(error.to_string())
    }
}

impl From<DbErr> for WriteError {
    fn from(error: DbErr) -> Self {
        if is_unwritable(&error) {
            return Self::Data(error.to_string());
        }
        match reported(&error).map(class) {
            Some(Class::Data) => Self::Data(error.to_string()),
            Some(Class::KeyTwice) => Self::KeyTwice(error.to_string()),
            Some(Class::Structure) => Self::Structure(error),
            Some(Class::Other) | None => Self::Infrastructure(error),
        }
    }
}

impl WriteError {
    /// A change of tables is no record's fault: another task may have made it meanwhile.
    pub(super) fn of_change(error: DbErr) -> Self {
        match reported(&error).map(class) {
            Some(Class::Data | Class::KeyTwice | Class::Structure) => Self::Structure(error),
            Some(Class::Other) | None => Self::Infrastructure(error),
        }
    }
}

enum Class {
    Data,
    KeyTwice,
    Structure,
    Other,
}

/// The driver has no way to write a value.
fn is_unwritable(error: &DbErr) -> bool {
    sqlx_error(error).is_some_and(|error| matches!(error, sqlx::Error::Encode(_)))
}

/// Nobody there, or nobody who lets us in.
pub(super) fn is_connection_failure(error: &DbErr) -> bool {
    if let Some(error) = reported(error) {
        let mysql = error.try_downcast_ref::<MySqlDatabaseError>();
        // Access denied, unknown database, too many connections.
        let refused =
            mysql.is_some_and(|error| matches!(error.number(), 1040 | 1044 | 1045 | 1049));
        let code = error.code().unwrap_or_default();
        return refused || matches!(code.get(..2), Some("08" | "28" | "3D" | "57"));
    }
    match sqlx_error(error) {
        Some(error) => matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut
        ),
        None => matches!(error, DbErr::Conn(_) | DbErr::ConnectionAcquire(_)),
    }
}

/// Whether the database refuses what a statement says: repeating it is no use unless the
/// tables change.
pub(crate) fn is_refusal(error: &DbErr) -> bool {
    let refused = reported(error).is_some_and(|error| !matches!(class(error), Class::Other));
    refused && !is_connection_failure(error)
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// What the database itself reported, if it was the database.
fn reported(error: &DbErr) -> Option<&dyn DatabaseError> {
    sqlx_error(error)?.as_database_error()
}

/// Data faults that MariaDB and MySQL report under a general SQLSTATE: packet too large, data
/// truncated, no value for a required column, incorrect value, a view's check option, no
/// partition for the value, a trigger's SIGNAL, CHECK violated.
const MYSQL_DATA: [u16; 9] = [1153, 1265, 1364, 1366, 1369, 1526, 1644, 3819, 4025];

/// PostgreSQL's beside the classes 22 and 23: a view's check option, an index row too large, a
/// trigger's RAISE EXCEPTION.
const POSTGRES_DATA: [&str; 3] = ["44000", "54000", "P0001"];

// SQLite's primary result codes.
const SQLITE_ERROR: i32 = 1;
const SQLITE_TOOBIG: i32 = 18;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_MISMATCH: i32 = 20;

fn class(error: &dyn DatabaseError) -> Class {
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<SqliteError>().is_some() {
        return match code.parse::<i32>().map(|extended| extended & 0xff) {
            Ok(SQLITE_TOOBIG | SQLITE_CONSTRAINT | SQLITE_MISMATCH) => Class::Data,
            Ok(SQLITE_ERROR) => Class::Structure,
            _ => Class::Other,
        };
    }
    let mysql = error.try_downcast_ref::<MySqlDatabaseError>();
    if mysql.is_some_and(|error| MYSQL_DATA.contains(&error.number())) {
        return Class::Data;
    }
    if POSTGRES_DATA.contains(&&*code) {
        return Class::Data;
    }
    match code.get(..2) {
        Some("21") if code == "21000" => Class::KeyTwice,
        Some("21" | "22" | "23") => Class::Data,
        Some("42") => Class::Structure,
        _ => Class::Other,
    }
}

/// A deadlock or a lock that took too long: worth another try at once.
pub(super) fn is_lock_conflict(error: &DbErr) -> bool {
    let Some(error) = reported(error) else {
        return false;
    };
    let mysql = error.try_downcast_ref::<MySqlDatabaseError>();
    matches!(
        error.code().as_deref(),
        Some("40001" | "40P01" | "55P03" | "5" | "6")
    ) || mysql.is_some_and(|error| matches!(error.number(), 1205 | 1213))
}
