//! The rows of a statement instead of tables.

use reqwest::Method;
use sea_orm::DbBackend;
use serde_json::json;

use crate::{World, eventually, on_mariadb, on_postgres, on_sqlite, values_of};

/// Joined and filtered, with a comment and a semicolon at its end.
const QUERY: &str = "SELECT u.id, u.name, o.price, u.at FROM users u JOIN orders o ON o.user_id = u.id \
     WHERE u.name <> 'skipped' -- by name;\n;";

async fn a_query_is_read_as_a_table_is(world: &mut World) {
    let (id, time) = match world.backend() {
        DbBackend::Postgres => (world.counted(), "timestamp(3)"),
        _ => (world.counted(), "datetime"),
    };
    for sql in [
        format!("create table users(id {id}, name varchar(20) not null, at {time})"),
        "create table orders(user_id int, price decimal(10,2))".to_owned(),
        "insert into users(name, at) values ('a', '2021-08-01 11:04:17'), ('skipped', null), ('c', null)"
            .to_owned(),
        "insert into orders values (1, 1.56), (2, 1), (3, null)".to_owned(),
    ] {
        world.run(&sql).await;
    }
    let keys = json!({
        "query": QUERY, "table.whitelist": null, "topic.prefix": world.topic("sold"),
        "incrementing.gap.wait.ms": "100", "tasks.max": "3",
    });
    let connector = world.start_source(&keys).await;
    let topic = world.topic("sold");
    eventually("two records", async || values_of(&topic).await.len() == 2).await;
    let required = world.backend() == DbBackend::MySql;
    let record = |payload: &str| {
        let (id, name) = (!required, !required);
        let id_type = if world.backend() == DbBackend::Sqlite {
            "int64"
        } else {
            "int32"
        };
        format!(
            r#"{{"schema":{{"type":"struct","fields":[{{"type":"{id_type}","optional":{id},"field":"id"}},{{"type":"string","optional":{name},"field":"name"}},{{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{{"scale":"2"}},"field":"price"}},{{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"at"}}],"optional":false}},"payload":{payload}}}"#
        )
    };
    let expected = [
        record(r#"{"id":1,"name":"a","price":"AJw=","at":1627815857000}"#),
        record(r#"{"id":3,"name":"c","price":null,"at":null}"#),
    ];
    assert_eq!(values_of(&topic).await, expected);
    // One task, whatever tasks.max says.
    assert_eq!(
        world.status(&connector).await["tasks"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    // It goes on where it was.
    world.kill();
    world.worker = crate::spawn(world.port, &world.name);
    world.is_up().await;
    world.post(&connector).await;
    world.run("insert into users(name) values ('d')").await;
    world.run("insert into orders values (4, 2)").await;
    world.reads("sold", &[1, 3, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_on_mariadb_is_read_as_a_table_is() {
    on_mariadb(a_query_is_read_as_a_table_is).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_on_postgres_is_read_as_a_table_is() {
    on_postgres(a_query_is_read_as_a_table_is).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_on_sqlite_is_read_as_a_table_is() {
    on_sqlite(a_query_is_read_as_a_table_is).await;
}

/// Of expressions too the types are known.
async fn expressions_have_types(world: &mut World) {
    world.create_users().await;
    world.run("insert into users(name) values ('abc')").await;
    let (integer, decimal) = match world.backend() {
        DbBackend::MySql => ("signed", "decimal(10,2)"),
        _ => ("integer", "decimal(10,2)"),
    };
    let query = format!(
        "select id, count(*) as n, cast(length(max(name)) as {integer}) as l, \
         cast(1.5 as {decimal}) as d from users group by id"
    );
    world
        .start_source(&json!({
            "query": query, "table.whitelist": null, "mode": "bulk",
            "incrementing.column.name": null, "topic.prefix": world.topic("counts"),
        }))
        .await;
    let topic = world.topic("counts");
    eventually("a record", async || !values_of(&topic).await.is_empty()).await;
    let value = values_of(&topic).await.remove(0);
    let (_, payload) = value.split_once("\"payload\":").unwrap();
    // SQLite's decimals are doubles, but for what a column declares.
    let decimal = match world.backend() {
        DbBackend::Sqlite => "1.5",
        _ => "\"AJY=\"",
    };
    assert_eq!(
        payload,
        format!(r#"{{"id":1,"n":1,"l":3,"d":{decimal}}}}}"#)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_of_mariadb_have_types() {
    on_mariadb(expressions_have_types).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_of_postgres_have_types() {
    on_postgres(expressions_have_types).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_of_sqlite_have_types() {
    on_sqlite(expressions_have_types).await;
}

/// A statement that the database refuses is told at once, not tried again and again.
async fn a_query_that_cannot_be_run_ends_the_task(world: &mut World) {
    for (query, told) in [
        ("select * from nothing_of_the_kind", "nothing_of_the_kind"),
        ("select 1; drop table users", "syntax"),
        ("selekt 1", "syntax"),
    ] {
        let keys = json!({
            "query": query, "table.whitelist": null, "topic.prefix": world.topic("none"),
            "connection.attempts": "1000",
        });
        let connector = world.start_source(&keys).await;
        let trace = world.fault(&connector).await;
        assert!(
            trace.starts_with("the database refuses a statement") && trace.contains(told),
            "{trace}"
        );
        world.ask(Method::DELETE, &connector, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_mariadb_cannot_run_ends_the_task() {
    on_mariadb(a_query_that_cannot_be_run_ends_the_task).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_postgres_cannot_run_ends_the_task() {
    on_postgres(a_query_that_cannot_be_run_ends_the_task).await;
}
