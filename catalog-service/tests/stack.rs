//! Applier and stock on the databases of `cargo xtask stack up`.

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
    let server = common::connect(&url).await.db;
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
    a_batch_becomes_stock_ledger_and_facts,
    a_redelivered_batch_changes_nothing_and_repeats_its_facts,
    a_release_that_comes_first_cancels_its_order,
    a_poison_delta_is_isolated_and_its_neighbours_are_applied,
    concurrent_appliers_apply_every_delta_once,
    rivals_sell_a_product_to_its_last_piece_and_no_more,
    concurrent_puts_create_a_product_once,
    an_adjustment_counts_once_per_key,
    the_ledger_is_paged_newest_first_without_gaps,
    any_script_and_sign_is_kept,
}
