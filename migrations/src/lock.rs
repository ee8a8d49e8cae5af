use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr,
    SqliteTransactionMode, SqlxMySqlConnector, Statement, TransactionOptions, TransactionTrait,
    sqlx,
};
use tokio::time::{Instant, sleep};

use crate::MigrationError;

/// `GET_LOCK` is one name space for the whole server, and its names end at 64 characters.
const MARIADB_LOCK: &str = "SELECT GET_LOCK(CONCAT('migrations:', MD5(DATABASE())), ?)";
/// An arbitrary constant; advisory locks are per database.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(7309453271847042671)";
const SQLITE_POLL: Duration = Duration::from_millis(50);

/// A connection that holds the migration lock until it is committed or dropped.
pub(crate) struct Locked {
    transaction: DatabaseTransaction,
    /// MariaDB's lock belongs to the session, and a session of the service's pool would
    /// keep it after a failure: this pool of one connection closes it instead.
    session: Option<DatabaseConnection>,
}

impl Locked {
    pub(crate) fn connection(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        self.transaction.commit().await?;
        match self.session {
            Some(session) => session.close().await,
            None => Ok(()),
        }
    }
}

pub(crate) async fn acquire(
    db: &DatabaseConnection,
    wait: Duration,
) -> Result<Locked, MigrationError> {
    match db.get_database_backend() {
        DbBackend::MySql => mariadb(db, wait).await,
        DbBackend::Postgres => postgres(db, wait).await,
        DbBackend::Sqlite => sqlite(db, wait).await,
        other => Err(DbErr::BackendNotSupported {
            db: other.as_str(),
            ctx: "migrations",
        }
        .into()),
    }
}

/// DDL commits implicitly here, so the lock cannot be a transaction's; the transaction
/// only pins the session that holds it.
async fn mariadb(db: &DatabaseConnection, wait: Duration) -> Result<Locked, MigrationError> {
    let pool = db.get_mysql_connection_pool();
    let one = pool.options().clone().min_connections(0).max_connections(1);
    let session = SqlxMySqlConnector::from_sqlx_mysql_pool(
        one.connect_lazy_with((*pool.connect_options()).clone()),
    );
    let transaction = session.begin().await?;
    let statement =
        Statement::from_sql_and_values(DbBackend::MySql, MARIADB_LOCK, [wait.as_secs_f64().into()]);
    let row = transaction.query_one_raw(statement).await?;
    let taken = row
        .map(|row| row.try_get_by_index::<Option<i64>>(0))
        .transpose()?
        .flatten();
    if taken != Some(1) {
        return Err(MigrationError::Locked(wait));
    }
    Ok(Locked {
        transaction,
        session: Some(session),
    })
}

async fn postgres(db: &DatabaseConnection, wait: Duration) -> Result<Locked, MigrationError> {
    let transaction = db.begin().await?;
    let bound = format!("SET LOCAL lock_timeout = {}", wait.as_millis().max(1));
    transaction.execute_unprepared(&bound).await?;
    match transaction.execute_unprepared(POSTGRES_LOCK).await {
        Ok(_) => Ok(Locked {
            transaction,
            session: None,
        }),
        // lock_not_available
        Err(error) if code(&error).as_deref() == Some("55P03") => Err(MigrationError::Locked(wait)),
        Err(error) => Err(error.into()),
    }
}

/// The one write transaction that SQLite allows is the lock. `busy_timeout` is the
/// connection's own business and may be shorter than `wait`.
async fn sqlite(db: &DatabaseConnection, wait: Duration) -> Result<Locked, MigrationError> {
    let deadline = Instant::now() + wait;
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    loop {
        match db.begin_with_options(options).await {
            Ok(transaction) => {
                return Ok(Locked {
                    transaction,
                    session: None,
                });
            }
            Err(error) if !is_busy(&error) => return Err(error.into()),
            Err(_) if Instant::now() >= deadline => return Err(MigrationError::Locked(wait)),
            Err(_) => sleep(SQLITE_POLL).await,
        }
    }
}

/// SQLITE_BUSY or SQLITE_LOCKED; the low byte is the primary code.
fn is_busy(error: &DbErr) -> bool {
    code(error)
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

fn code(error: &DbErr) -> Option<String> {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    match error.as_ref() {
        sqlx::Error::Database(error) => error.code().map(|code| code.into_owned()),
        _ => None,
    }
}
