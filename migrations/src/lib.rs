//! The tables of both databases, on MariaDB/MySQL, PostgreSQL and SQLite.
//!
//! Any number of service instances may start at once: [`up`] and [`down`] take a lock
//! that belongs to the database and ends with the connection that runs the migrations,
//! so neither can outlive the other.

mod catalog;
mod lock;
mod orders;
mod script;

use std::time::Duration;

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};
use sea_orm_migration::MigratorTrait;

pub use catalog::Catalog;
pub use orders::Orders;

/// How long [`up`] and [`down`] wait for another instance's migrations.
pub const LOCK_WAIT: Duration = Duration::from_secs(60);

/// Which of the two databases a connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// `orders`, `order_outcomes`: written by the sink, read by the order-service.
    Orders,
    /// `stock`, `stock_ledger`: the catalog-service's own.
    Catalog,
}

#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error(
        "another instance has held the migration lock for more than {} s",
        .0.as_secs_f64()
    )]
    Locked(Duration),
    #[error("the database refused a migration: {0}")]
    Database(#[from] DbErr),
}

/// Applies what is missing; does nothing on a database that is up to date.
pub async fn up(db: &DatabaseConnection, which: Database) -> Result<(), MigrationError> {
    up_within(db, which, LOCK_WAIT).await
}

/// [`up`] with another patience than [`LOCK_WAIT`].
pub async fn up_within(
    db: &DatabaseConnection,
    which: Database,
    wait: Duration,
) -> Result<(), MigrationError> {
    run(db, which, Direction::Up, wait).await
}

/// Takes every migration back, and the data with it.
pub async fn down(db: &DatabaseConnection, which: Database) -> Result<(), MigrationError> {
    run(db, which, Direction::Down, LOCK_WAIT).await
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Up,
    Down,
}

async fn run(
    db: &DatabaseConnection,
    which: Database,
    direction: Direction,
    wait: Duration,
) -> Result<(), MigrationError> {
    let locked = lock::acquire(db, wait).await?;
    let result = match which {
        Database::Orders => migrate::<Orders>(locked.connection(), direction).await,
        Database::Catalog => migrate::<Catalog>(locked.connection(), direction).await,
    };
    // Where DDL is transactional, dropping the lock unused rolls everything back.
    result?;
    Ok(locked.commit().await?)
}

async fn migrate<M: MigratorTrait>(
    connection: &DatabaseTransaction,
    direction: Direction,
) -> Result<(), DbErr> {
    match direction {
        Direction::Up => M::up(connection, None).await,
        Direction::Down => M::down(connection, None).await,
    }
}
