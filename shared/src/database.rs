//! Connections whose sessions cannot hurt the others.

mod pool;
mod to_its_end;

use std::time::Duration;

use sea_orm::sqlx::Executor;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr};

use crate::settings::DatabaseSettings;

pub use pool::register_pool;
pub use to_its_end::{ToItsEnd, to_its_end};

/// MariaDB's default isolation, REPEATABLE READ, would hide rows that a rival wrote before
/// we got the lock, and its idle transactions live for ever. MySQL, which lacks the second
/// variable, reads it as a comment. A server that is not strict would cut off what does not
/// fit.
const MYSQL_SESSION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
     SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'); \
     SET SESSION innodb_lock_wait_timeout = 5 /*M!, idle_transaction_timeout = 10 */";

/// A cached statement would keep the plan that was right while its table was empty.
const POSTGRES_SESSION: &str = "SET idle_in_transaction_session_timeout = '10s'; \
     SET lock_timeout = '5s'; SET plan_cache_mode = force_custom_plan";

/// `busy_timeout` is SQLite's lock wait; WAL lets readers go on while one writes. Offsets are
/// committed once the rows are: with less than FULL, a power failure could take those rows, and
/// nothing would bring them again.
const SQLITE_SESSION: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";

/// No SQLSTATE, which other databases answer, has two digits.
const SQLITE_CANTOPEN: &str = "14";

/// Statements kept prepared per connection: a table's rows come in some 40 sizes ([`rows_at_once`]),
/// and the catalog-service writes rows of three kinds. On MariaDB an evicted one costs 40 ms (a close
/// without an answer, before the next request, on a socket with Nagle's delay).
const PREPARED: usize = 256;
/// Up to so many rows are one statement.
const FEW: usize = 32;

/// A pool that connects when first used, so that a service starts without its database.
///
/// Every session reads committed data, waits at most 5 s for a lock, and loses its
/// transaction after 10 s of idling in it: a frozen instance must not hold hot rows.
pub async fn connect(settings: &DatabaseSettings) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(settings.url.expose());
    options
        .max_connections(settings.max_connections)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(true)
        .test_before_acquire_if_idle_for(Duration::from_secs(2))
        .connect_lazy(true)
        .sqlx_logging(false);
    options.map_sqlx_mysql_opts(|session| {
        // A connector's query means by `||` what it means everywhere else on MariaDB.
        session
            .statement_cache_capacity(PREPARED)
            .pipes_as_concat(false)
    });
    options.map_sqlx_postgres_opts(|session| session.statement_cache_capacity(PREPARED));
    options.map_sqlx_sqlite_opts(|session| session.statement_cache_capacity(PREPARED));
    on_connect(&mut options);
    Database::connect(options).await
}

/// Why a database cannot be used, without its URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "it has none of the forms mysql://USER:PASSWORD@HOST:PORT/DATABASE, postgres://… and \
         sqlite://FILE?mode=rwc"
    )]
    Form,
    #[error("SQLite cannot open the file: its folder must exist and be writable")]
    File,
    #[error("{0}")]
    Other(String),
}

impl From<DbErr> for ConnectError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::Conn(RuntimeErr::Internal(_)) => Self::Form,
            DbErr::Conn(RuntimeErr::SqlxError(cause)) => match cause.as_database_error() {
                Some(refusal) if refusal.code().as_deref() == Some(SQLITE_CANTOPEN) => Self::File,
                _ => Self::Other(cause.to_string()),
            },
            _ => Self::Other(error.to_string()),
        }
    }
}

fn on_connect(options: &mut ConnectOptions) {
    // Per connection: sea-orm's own `after_connect` runs once per pool.
    options.map_sqlx_mysql_pool_opts(|pool| {
        pool.after_connect(|session, _| {
            Box::pin(async move { session.execute(MYSQL_SESSION).await.map(drop) })
        })
    });
    options.map_sqlx_postgres_pool_opts(|pool| {
        pool.after_connect(|session, _| {
            Box::pin(async move { session.execute(POSTGRES_SESSION).await.map(drop) })
        })
    });
    options.map_sqlx_sqlite_pool_opts(|pool| {
        pool.after_connect(|session, _| {
            Box::pin(async move { session.execute(SQLITE_SESSION).await.map(drop) })
        })
    });
}

/// How many of some rows the next statement is to write, `most` at most: all of a few, since each
/// statement is a round trip; of more a power of two, so that the driver's cache of prepared
/// statements holds all sizes.
pub fn rows_at_once(rows: usize, most: usize) -> usize {
    match rows.min(most) {
        few @ ..=FEW => few,
        many => 1 << many.ilog2(),
    }
}

/// A list for `IN`, filled up to a power of two with what is in it anyway: so few lengths that the
/// driver's cache of prepared statements holds them all.
pub fn filled_up<T: Clone>(list: &[T]) -> Vec<T> {
    let mut filled = list.to_vec();
    if let Some(last) = list.last() {
        filled.resize(list.len().next_power_of_two(), last.clone());
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_rows_are_one_statement_and_more_have_few_sizes() {
        let sizes = |rows| {
            let mut left: usize = rows;
            let next = || {
                let now = rows_at_once(left, 512);
                left -= now;
                (now > 0).then_some(now)
            };
            std::iter::from_fn(next).collect::<Vec<_>>()
        };
        assert_eq!(sizes(31), [31]);
        assert_eq!(sizes(100), [64, 32, 4]);
        assert_eq!(sizes(1_550), [512, 512, 512, 14]);
        assert_eq!(sizes(0), [0; 0]);
        let limited = [(10, 1), (100, 20), (1_000, 500), (33, 512)];
        let limited = limited.map(|(rows, most)| rows_at_once(rows, most));
        assert_eq!(limited, [1, 20, 256, 32]);
    }

    #[test]
    fn lists_have_few_lengths_and_nothing_new() {
        let ids = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(filled_up(&ids), ["a", "b", "c", "d", "e", "e", "e", "e"]);
        assert_eq!(filled_up(&ids[..4]).len(), 4);
        assert_eq!(filled_up::<i32>(&[]), [0; 0]);
    }
}
