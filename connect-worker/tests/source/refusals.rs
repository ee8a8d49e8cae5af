//! What cannot be read ends the task, and the trace says why.

use reqwest::Method;
use serde_json::json;

use crate::{World, on_mariadb, on_postgres};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_and_a_dropped_table_fail_the_task_with_its_name() {
    on_postgres(async |world: &mut World| {
        let connector = world.start_source(&json!({})).await;
        let trace = world.fault(&connector).await;
        assert!(trace.contains("there is no table users"), "{trace}");

        world.create_users().await;
        world.run("insert into users(name) values('a')").await;
        world
            .ask(Method::POST, &connector, "/tasks/0/restart")
            .await;
        world.reads("users", &[1]).await;
        world.run("drop table users").await;
        let trace = world.fault(&connector).await;
        assert!(
            trace.starts_with("table public.users: there is no such table"),
            "{trace}"
        );
    })
    .await;
}

/// The value of a column that its field has no room for.
async fn misfit(world: &mut World, column: &str, value: &str) -> String {
    let id = world.counted();
    world
        .run(&format!("create table users(id {id}, c {column})"))
        .await;
    world
        .run(&format!("insert into users(c) values ({value})"))
        .await;
    let connector = world.start_source(&json!({})).await;
    let trace = world.fault(&connector).await;
    world.ask(Method::DELETE, &connector, "").await;
    world.run("drop table users").await;
    trace
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_ends_the_task_on_mariadb() {
    on_mariadb(async |world: &mut World| {
        for (column, value, told) in [
            (
                "bigint unsigned",
                "18446744073709551615",
                "column `c`: `18446744073709551615` does not fit INT64",
            ),
            ("time", "'838:59:59'", "does not fit a time of day"),
            ("date", "'0000-00-00'", "`0000-00-00` does not fit a date"),
        ] {
            let trace = misfit(world, column, value).await;
            assert!(trace.contains(".users") && trace.contains(told), "{trace}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_ends_the_task_on_postgres() {
    on_postgres(async |world: &mut World| {
        for (column, value, told) in [
            ("numeric", "1.5", "give the column a precision and a scale"),
            ("numeric(5,2)", "'NaN'", "column `c`: `NaN` does not fit"),
            ("timestamp", "'infinity'", "does not fit a timestamp"),
        ] {
            let trace = misfit(world, column, value).await;
            assert!(trace.contains("table public.users"), "{trace}");
            assert!(trace.contains(told), "{trace}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_twenty_megabytes_ends_the_task_and_names_its_table() {
    on_postgres(async |world: &mut World| {
        world
            .run("create table users(id serial primary key, name text)")
            .await;
        world
            .run("insert into users(name) values (repeat('x', 20000000))")
            .await;
        let connector = world.start_source(&json!({})).await;
        let trace = world.fault(&connector).await;
        assert!(
            trace.starts_with("table public.users: a row makes too large a record"),
            "{trace}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_may_be_null_cannot_tell_what_is_new() {
    on_mariadb(async |world: &mut World| {
        world
            .run("create table users(id int, name varchar(20))")
            .await;
        world
            .run("insert into users values (1, 'a'), (null, 'b'), (2, 'c')")
            .await;
        let connector = world.start_source(&json!({})).await;
        let trace = world.fault(&connector).await;
        assert!(
            trace.contains(
                "Cannot make incremental queries using incrementing column id because this column \
                 is nullable"
            ),
            "{trace}"
        );
        world.ask(Method::DELETE, &connector, "").await;
        world
            .start_source(&json!({"validate.non.null": "false"}))
            .await;
        world.reads("users", &[1, 2]).await;
    })
    .await;
}
