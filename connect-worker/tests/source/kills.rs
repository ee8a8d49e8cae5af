//! A source that is killed loses no row.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::modes::create_timed_users;
use crate::{World, eventually, ids, on_mariadb, on_postgres, on_sqlite, spawn, values_of};

const KILLS: usize = 4;
const BATCH: usize = 7;

async fn no_row_is_lost(world: &mut World) {
    world.create_users().await;
    survives(world, &json!({"batch.max.rows": BATCH})).await;
}

/// The worker is killed again and again while rows come in.
async fn survives(world: &mut World, keys: &Value) {
    let connector = world.start_source(keys).await;
    let topic = world.topic("users");
    let enough = CancellationToken::new();
    let writer = tokio::spawn(write_until(world.db.clone(), enough.clone()));
    for _ in 0..KILLS {
        let seen = values_of(&topic).await.len();
        let progress = async || values_of(&topic).await.len() > seen + 2 * BATCH;
        eventually("progress", progress).await;
        world.kill();
        world.worker = spawn(world.port, &world.name);
        world.is_up().await;
        assert_eq!(world.post(&connector).await.0, 201);
    }
    enough.cancel();
    let all: Vec<i64> = (1..=writer.await.unwrap()).collect();
    let mut read = Vec::new();
    eventually("the last row", async || {
        read = ids(&values_of(&topic).await);
        read.contains(&all[all.len() - 1])
    })
    .await;
    let mut distinct = read.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct, all);
    // A kill repeats no more than the batch that was under way.
    let repeats = read.len() - distinct.len();
    assert!(repeats <= KILLS * BATCH, "{repeats} repeats");
}

/// How many rows it has written by then.
async fn write_until(db: DatabaseConnection, enough: CancellationToken) -> i64 {
    let mut rows = 0;
    while !enough.is_cancelled() {
        rows += 1;
        let sql = format!("insert into users(name) values('{rows}')");
        db.execute_unprepared(&sql).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_of_mariadb_is_lost_to_kills() {
    on_mariadb(no_row_is_lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_of_postgres_is_lost_to_kills() {
    on_postgres(no_row_is_lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_of_sqlite_is_lost_to_kills() {
    on_sqlite(no_row_is_lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_to_kills_by_its_time() {
    on_mariadb(async |world: &mut World| {
        create_timed_users(world).await;
        let keys = json!({
            "mode": "timestamp", "timestamp.column.name": "at",
            "incrementing.column.name": null, "batch.max.rows": BATCH,
        });
        survives(world, &keys).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_late_is_not_passed_over() {
    on_postgres(async |world: &mut World| {
        world.create_users().await;
        let late = world.db.begin().await.unwrap();
        late.execute_unprepared("insert into users(name) values('late')")
            .await
            .unwrap();
        world.run("insert into users(name) values('early')").await;
        world.start_source(&json!({})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        late.commit().await.unwrap();
        world.reads("users", &[1, 2]).await;
    })
    .await;
}
