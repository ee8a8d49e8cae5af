//! A source that is paused, stopped, deleted, or parted from its database.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use test_database::Cable;

use crate::{World, eventually, on_mariadb, on_postgres};

/// A second source of the same table, to see what the first would have read by now.
async fn start_witness(world: &World) {
    let mut witness = world.source(&json!({"topic.prefix": format!("{}_witness_", world.name)}));
    witness["name"] = json!(format!("{}-witness", world.name));
    assert_eq!(world.post(&witness).await.0, 201);
}

async fn has_state(world: &World, connector: &Value, state: &str) {
    eventually(state, async || {
        world.status(connector).await["connector"]["state"] == state
    })
    .await;
}

async fn a_source_rests_and_goes_on(world: &mut World) {
    world.create_users().await;
    world.run("insert into users(name) values ('a')").await;
    let connector = world.start_source(&json!({})).await;
    start_witness(world).await;
    world.reads("users", &[1]).await;

    let mut all = vec![1];
    for (next, (path, state)) in [("/pause", "PAUSED"), ("/stop", "STOPPED")]
        .iter()
        .enumerate()
    {
        world.ask(Method::PUT, &connector, path).await;
        has_state(world, &connector, state).await;
        world.run("insert into users(name) values ('b')").await;
        let read = all.clone();
        all.push(i64::try_from(next).unwrap() + 2);
        world.reads("witness_users", &all).await;
        assert_eq!(world.ids("users").await, read, "while {state}");
        let tasks = world.status(&connector).await["tasks"].clone();
        assert_eq!(
            tasks.as_array().unwrap().len(),
            usize::from(*state == "PAUSED")
        );
        world.ask(Method::PUT, &connector, "/resume").await;
        world.reads("users", &all).await;
    }

    // As in Connect, the offsets outlive the connector.
    assert_eq!(world.ask(Method::DELETE, &connector, "").await, 204);
    assert_eq!(world.ask(Method::GET, &connector, "").await, 404);
    world.run("insert into users(name) values ('d')").await;
    world.reads("witness_users", &[1, 2, 3, 4]).await;
    assert_eq!(world.ids("users").await, [1, 2, 3], "without a connector");
    assert_eq!(world.post(&connector).await.0, 201);
    world.reads("users", &[1, 2, 3, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_mariadb_rests_and_goes_on() {
    on_mariadb(a_source_rests_and_goes_on).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_postgres_rests_and_goes_on() {
    on_postgres(a_source_rests_and_goes_on).await;
}

/// Away at the start, and again in mid-stream.
async fn a_database_that_is_away_is_waited_for(world: &mut World) {
    let cable = Cable::to(&world.url).await;
    cable.cut();
    world.create_users().await;
    world.run("insert into users(name) values ('a')").await;
    let keys = json!({
        "connection.url": world.jdbc_of(cable.url()), "connection.attempts": "1000",
        "connection.backoff.ms": "100",
    });
    let connector = world.start_source(&keys).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.ids("users").await, [] as [i64; 0]);
    cable.mend();
    world.reads("users", &[1]).await;
    for id in 2..=4 {
        cable.cut();
        world.run("insert into users(name) values ('b')").await;
        cable.mend();
        world.reads("users", &(1..=id).collect::<Vec<_>>()).await;
    }
    let status = world.status(&connector).await;
    assert_eq!(status["tasks"][0]["state"], "RUNNING", "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_that_is_away_is_waited_for() {
    on_mariadb(a_database_that_is_away_is_waited_for).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_is_away_is_waited_for() {
    on_postgres(a_database_that_is_away_is_waited_for).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_to_connect_are_counted_and_then_the_task_fails() {
    on_postgres(async |world: &mut World| {
        let cable = Cable::to(&world.url).await;
        cable.cut();
        let keys = json!({
            "connection.url": world.jdbc_of(cable.url()), "connection.attempts": "2",
            "connection.backoff.ms": "10",
        });
        let connector = world.start_source(&keys).await;
        let trace = world.fault(&connector).await;
        assert!(
            trace.starts_with("no connection to the database after 2 attempts\nCaused by: "),
            "{trace}"
        );

        // A restart is another try.
        cable.mend();
        world.create_users().await;
        world.run("insert into users(name) values ('a')").await;
        world
            .ask(Method::POST, &connector, "/tasks/0/restart")
            .await;
        world.reads("users", &[1]).await;
    })
    .await;
}
