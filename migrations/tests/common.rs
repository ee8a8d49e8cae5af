//! What must hold on every database.

use std::time::Duration;

use futures_util::future::try_join_all;
use migrations::{Database as Which, down, up, up_within};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, TransactionTrait,
};
use shared::settings::DatabaseSettings;

pub(crate) async fn connect(url: &str) -> DatabaseConnection {
    shared::database::connect(&DatabaseSettings::at(url))
        .await
        .unwrap()
}

/// Five instances, each with connections of its own, on an empty database.
pub(crate) async fn five_instances_may_start_at_once(url: &str) {
    for which in [Which::Orders, Which::Catalog] {
        let instances = try_join_all((0..5).map(async |_| {
            let db = connect(url).await;
            up(&db, which).await
        }));
        instances.await.unwrap();
    }
    assert_tables(&connect(url).await, true).await;
}

pub(crate) async fn up_down_up(url: &str) {
    let db = connect(url).await;
    for which in [Which::Orders, Which::Catalog] {
        up(&db, which).await.unwrap();
        up(&db, which).await.unwrap();
    }
    assert_tables(&db, true).await;
    for which in [Which::Orders, Which::Catalog] {
        down(&db, which).await.unwrap();
    }
    assert_tables(&db, false).await;
    for which in [Which::Orders, Which::Catalog] {
        up(&db, which).await.unwrap();
    }
    assert_tables(&db, true).await;
}

/// `lock` is what another process would do to hold the lock in a transaction.
pub(crate) async fn a_held_lock_is_waited_for_and_named(url: &str, lock: &str) {
    let other = connect(url).await;
    let holder = other.begin().await.unwrap();
    holder.execute_unprepared(lock).await.unwrap();
    let db = Database::connect(impatient(url)).await.unwrap();
    let wait = Duration::from_millis(300);
    let error = up_within(&db, Which::Orders, wait).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "another instance has held the migration lock for more than 0.3 s"
    );
    holder.rollback().await.unwrap();
    other.close().await.unwrap();
    up_within(&db, Which::Orders, wait).await.unwrap();
}

/// SQLite's own wait for a lock comes on top of ours.
fn impatient(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.busy_timeout(Duration::from_millis(10)));
    options
}

/// Ids and keys that differ in case only, or in a trailing space, are different.
pub(crate) async fn keys_are_compared_byte_by_byte(url: &str) {
    let db = connect(url).await;
    up(&db, Which::Catalog).await.unwrap();
    for reference in ["1:key", "1:Key", "1:KEY"] {
        insert_ledger(&db, reference).await.unwrap();
    }
    assert!(insert_ledger(&db, "1:key").await.is_err());
}

pub(crate) async fn stock_below_zero_is_refused(url: &str) {
    let db = connect(url).await;
    up(&db, Which::Catalog).await.unwrap();
    let insert = |product: i32, qty: i32| {
        format!(
            "INSERT INTO stock (product_id, name, unit_price, qty, updated_at) \
             VALUES ({product}, 'x', 1, {qty}, '2026-01-01 00:00:00.000')"
        )
    };
    db.execute_unprepared(&insert(1, 0)).await.unwrap();
    assert!(db.execute_unprepared(&insert(2, -1)).await.is_err());
}

async fn insert_ledger(db: &DatabaseConnection, reference: &str) -> Result<(), DbErr> {
    let sql = format!(
        "INSERT INTO stock_ledger (reference, kind, product_id, delta, decided_at) \
         VALUES ('{reference}', 'adjust', 1, 1, '2026-01-01 00:00:00.000')"
    );
    db.execute_unprepared(&sql).await.map(drop)
}

async fn assert_tables(db: &DatabaseConnection, exist: bool) {
    for table in ["orders", "order_outcomes", "stock", "stock_ledger"] {
        let found = db
            .execute_unprepared(&format!("SELECT * FROM {table}"))
            .await
            .is_ok();
        assert_eq!(found, exist, "{table}");
    }
}
