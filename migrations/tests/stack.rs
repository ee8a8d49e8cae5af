//! The migrations on the databases of `cargo xtask stack up`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

mod common;

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

/// Runs a test on a fresh database of the server at `url`, and drops the database.
async fn on_fresh_database<F: Future<Output = ()>>(url: String, test: impl FnOnce(String) -> F) {
    let name = format!("test_{}", Uuid::now_v7().simple());
    let server = common::connect(&url).await;
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let (base, _) = url.rsplit_once('/').unwrap();
    let result = AssertUnwindSafe(test(format!("{base}/{name}")))
        .catch_unwind()
        .await;
    let force = if url.starts_with("postgres") {
        " WITH (FORCE)"
    } else {
        ""
    };
    server
        .execute_unprepared(&format!("DROP DATABASE {name}{force}"))
        .await
        .unwrap();
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

fn server(variable: &str, default: &str, any_database: &str) -> String {
    let url = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    format!("{}/{any_database}", url.trim_end_matches('/'))
}

fn mariadb() -> String {
    server("STACK_MARIADB", "mysql://test:test@127.0.0.1:13306", "")
}

fn postgres() -> String {
    server(
        "STACK_POSTGRES",
        "postgres://test:test@127.0.0.1:15432",
        "postgres",
    )
}

macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::on_fresh_database(super::mariadb(), async |url| {
                    super::common::$test(&url).await;
                })
                .await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::on_fresh_database(super::postgres(), async |url| {
                    super::common::$test(&url).await;
                })
                .await;
            })+
        }
    };
}

on_both! {
    five_instances_may_start_at_once,
    up_down_up,
    keys_are_compared_byte_by_byte,
    stock_below_zero_is_refused,
}

#[tokio::test]
async fn a_lock_held_on_mariadb_is_waited_for_and_named() {
    on_fresh_database(mariadb(), async |url| {
        let lock = "DO GET_LOCK(CONCAT('migrations:', MD5(DATABASE())), 0)";
        common::a_held_lock_is_waited_for_and_named(&url, lock).await;
    })
    .await;
}

#[tokio::test]
async fn a_lock_held_on_postgres_is_waited_for_and_named() {
    on_fresh_database(postgres(), async |url| {
        let lock = "SELECT pg_advisory_xact_lock(7309453271847042671)";
        common::a_held_lock_is_waited_for_and_named(&url, lock).await;
    })
    .await;
}
