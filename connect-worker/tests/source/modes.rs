//! What each mode, and each choice of tables, reads.

use std::time::{Duration, Instant};

use sea_orm::DbBackend;
use serde_json::{Value, json};

use crate::{World, eventually, ids, on_mariadb, on_postgres, on_sqlite, values_of};

/// `users` with a column that says when a row was written last.
pub(crate) async fn create_timed_users(world: &World) {
    let (id, time) = match world.backend() {
        DbBackend::Postgres => (world.counted(), "timestamptz(6) not null default now()"),
        DbBackend::Sqlite => (
            world.counted(),
            "timestamp not null default (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
        ),
        _ => (
            world.counted(),
            "timestamp(6) not null default now(6) on update now(6)",
        ),
    };
    let create = format!("create table users(id {id}, name varchar(20), at {time})");
    world.run(&create).await;
}

/// Touches a row as an application would.
async fn rename(world: &World, id: i64) {
    let now = match world.backend() {
        DbBackend::Postgres => "now()",
        DbBackend::Sqlite => "strftime('%Y-%m-%d %H:%M:%f', 'now')",
        _ => "now(6)",
    };
    let update = format!("update users set name = 'x', at = {now} where id = {id}");
    world.run(&update).await;
}

/// More rows of one time than a batch has room for are not torn apart.
async fn rows_come_by_their_time_alone(world: &mut World) {
    create_timed_users(world).await;
    world
        .run("insert into users(name) values('a'), ('b'), ('c'), ('d'), ('e')")
        .await;
    let connector = world
        .start_source(&json!({
            "mode": "timestamp", "timestamp.column.name": "at",
            "incrementing.column.name": null, "batch.max.rows": "2",
        }))
        .await;
    let topic = world.topic("users");
    let all = async || {
        let mut read = ids(&values_of(&topic).await);
        read.sort_unstable();
        read == [1, 2, 3, 4, 5]
    };
    eventually("all rows, once", all).await;
    rename(world, 2).await;
    let last = async || {
        let read = ids(&values_of(&topic).await);
        read.len() == 6 && read.last() == Some(&2)
    };
    eventually("the changed row", last).await;

    // And goes on from there.
    world.kill();
    world.worker = crate::spawn(world.port, &world.name);
    world.is_up().await;
    world.post(&connector).await;
    rename(world, 4).await;
    eventually("the next", async || {
        let read = ids(&values_of(&topic).await);
        read.len() == 7 && read.last() == Some(&4)
    })
    .await;
}

/// SQLite compares milliseconds, rounded: a row must not be new for ever.
async fn a_time_of_microseconds_comes_once(world: &mut World) {
    create_timed_users(world).await;
    world
        .start_source(&json!({
            "mode": "timestamp", "timestamp.column.name": "at",
            "incrementing.column.name": null,
        }))
        .await;
    let mut all = Vec::new();
    for id in 1..5 {
        let insert = format!("insert into users(at) values('2026-11-24 10:00:0{id}.123600')");
        world.run(&insert).await;
        all.push(id);
        world.reads("users", &all).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_there_keeps_its_partitions() {
    on_mariadb(async |world: &mut World| {
        world.create_users().await;
        world.run("insert into users(name) values('a')").await;
        world.create_topic(&world.topic("users")).await;
        world
            .start_source(&json!({"topic.creation.default.partitions": "3"}))
            .await;
        world.reads("users", &[1]).await;
    })
    .await;
}

async fn changed_rows_come_again(world: &mut World) {
    create_timed_users(world).await;
    world
        .run("insert into users(name) values('a'), ('b'), ('c')")
        .await;
    world
        .start_source(&json!({
            "mode": "timestamp+incrementing", "timestamp.column.name": "at",
            "batch.max.rows": "2",
        }))
        .await;
    world.reads("users", &[1, 2, 3]).await;
    rename(world, 2).await;
    world.reads("users", &[1, 2, 3, 2]).await;
}

/// Whole, again and again, as it is at the time.
async fn bulk_reads_everything_every_time(world: &mut World) {
    world.create_users().await;
    world
        .run("insert into users(name) values('a'), ('b'), ('c')")
        .await;
    world
        .start_source(&json!({
            "mode": "bulk", "incrementing.column.name": null, "batch.max.rows": "2",
        }))
        .await;
    let topic = world.topic("users");
    eventually("two rounds", async || {
        ids(&values_of(&topic).await).starts_with(&[1, 2, 3, 1, 2, 3])
    })
    .await;
    world.run("delete from users where id = 2").await;
    eventually("rounds without it", async || {
        ids(&values_of(&topic).await).ends_with(&[1, 3, 1, 3])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_by_their_time_alone_on_mariadb() {
    on_mariadb(rows_come_by_their_time_alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_by_their_time_alone_on_postgres() {
    on_postgres(rows_come_by_their_time_alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_by_their_time_alone_on_sqlite() {
    on_sqlite(rows_come_by_their_time_alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_microseconds_comes_once_from_mariadb() {
    on_mariadb(a_time_of_microseconds_comes_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_microseconds_comes_once_from_postgres() {
    on_postgres(a_time_of_microseconds_comes_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_microseconds_comes_once_from_sqlite() {
    on_sqlite(a_time_of_microseconds_comes_once).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_come_again_on_mariadb() {
    on_mariadb(changed_rows_come_again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_come_again_on_postgres() {
    on_postgres(changed_rows_come_again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_come_again_on_sqlite() {
    on_sqlite(changed_rows_come_again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_reads_everything_of_mariadb_every_time() {
    on_mariadb(bulk_reads_everything_every_time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_reads_everything_of_postgres_every_time() {
    on_postgres(bulk_reads_everything_every_time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_reads_everything_of_sqlite_every_time() {
    on_sqlite(bulk_reads_everything_every_time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_wait_for_as_long_as_the_delay_says() {
    const DELAY: Duration = Duration::from_secs(2);
    on_postgres(async |world: &mut World| {
        create_timed_users(world).await;
        let begun = Instant::now();
        world.run("insert into users(name) values('a')").await;
        world
            .start_source(&json!({
                "mode": "timestamp", "timestamp.column.name": "at",
                "timestamp.delay.interval.ms": DELAY.as_millis().to_string(),
            }))
            .await;
        world.reads("users", &[1]).await;
        assert!(begun.elapsed() >= DELAY, "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_can_begin_now() {
    on_mariadb(async |world: &mut World| {
        create_timed_users(world).await;
        world
            .run("insert into users(name, at) values('a', '2021-08-01 11:04:17')")
            .await;
        world
            .start_source(&json!({
                "mode": "timestamp+incrementing", "timestamp.column.name": "at",
                "timestamp.initial": "-1",
            }))
            .await;
        // Its beginning is that of its first look, which may be yet to come.
        let topic = world.topic("users");
        eventually("a new row", async || {
            world.run("insert into users(name) values('b')").await;
            !values_of(&topic).await.is_empty()
        })
        .await;
        assert!(ids(&values_of(&topic).await)[0] > 1);
    })
    .await;
}

/// The topics that exist of these tables.
async fn read_tables(world: &World, tables: &[&str]) -> Vec<String> {
    let mut read = Vec::new();
    for table in tables {
        if !values_of(&world.topic(table)).await.is_empty() {
            read.push((*table).to_owned());
        }
    }
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_chosen_by_name_by_exclusion_and_by_pattern() {
    on_postgres(async |world: &mut World| {
        const TABLES: [&str; 4] = ["a1", "a2", "b1", "late1"];
        for table in &TABLES[..3] {
            world
                .run(&format!(
                    "create table {table}(id serial primary key); insert into {table} values (1)"
                ))
                .await;
        }
        let first = world
            .start_source(&json!({"table.whitelist": "a2,b1", "tasks.max": "2"}))
            .await;
        let read = async || read_tables(world, &TABLES).await == ["a2", "b1"];
        eventually("the named tables", read).await;
        world.ask(reqwest::Method::DELETE, &first, "").await;

        let mut rest = world.source(&json!({
            "table.whitelist": null, "table.blacklist": "a2,b1", "table.poll.interval.ms": "100",
        }));
        rest["name"] = json!(format!("{}-rest", world.name));
        assert_eq!(world.post(&rest).await.0, 201);
        world
            .run("create table late1(id serial primary key); insert into late1 values (1)")
            .await;
        let read = async || read_tables(world, &TABLES).await == TABLES;
        eventually("the others, also one that came later", read).await;
        world.ask(reqwest::Method::DELETE, &rest, "").await;

        let mut some = world.source(&json!({
            "table.whitelist": null, "table.include.list": r"public\.a.*",
            "topic.prefix": format!("{}_some_", world.name),
        }));
        some["name"] = json!(format!("{}-some", world.name));
        assert_eq!(world.post(&some).await.0, 201);
        let tables = ["some_a1", "some_a2", "some_b1", "some_late1"];
        let read = async || read_tables(world, &tables).await == ["some_a1", "some_a2"];
        eventually("those that match", read).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decimals_become_numbers_where_they_fit() {
    on_mariadb(async |world: &mut World| {
        let id = world.counted();
        world
            .run(&format!(
                "create table users(id {id}, a decimal(4,0), b decimal(9,2), c decimal(30,2))"
            ))
            .await;
        world
            .run("insert into users(a, b, c) values (12, 1.25, 1.56)")
            .await;
        world
            .start_source(&json!({"numeric.mapping": "best_fit"}))
            .await;
        let topic = world.topic("users");
        let mut payload = Value::Null;
        eventually("the row", async || {
            if let Some(value) = values_of(&topic).await.pop() {
                payload = serde_json::from_str::<Value>(&value).unwrap()["payload"].clone();
            }
            !payload.is_null()
        })
        .await;
        assert_eq!(payload, json!({"id": 1, "a": 12, "b": 1.25, "c": "AJw="}));
    })
    .await;
}
