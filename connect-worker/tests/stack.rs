//! The sink on the databases of `cargo xtask stack up`.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod common;

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

/// Runs a case on a fresh database of the server at `url`, and drops the database.
async fn on_fresh_database(url: String, case: impl AsyncFnOnce(String)) {
    let name = format!("test_{}", Uuid::now_v7().simple());
    let server = common::connect(&url).await;
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let (base, _) = url.rsplit_once('/').unwrap();
    let ended = AssertUnwindSafe(case(format!("{base}/{name}")))
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
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

fn server(variable: &str, default: &str, any_database: &str) -> String {
    let url = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    format!("{}/{any_database}", url.trim_end_matches('/'))
}

async fn on_mariadb(case: impl AsyncFnOnce(String)) {
    let url = server("STACK_MARIADB", "mysql://test:test@127.0.0.1:13306", "");
    on_fresh_database(url, case).await;
}

async fn on_postgres(case: impl AsyncFnOnce(String)) {
    let url = server(
        "STACK_POSTGRES",
        "postgres://test:test@127.0.0.1:15432",
        "postgres",
    );
    on_fresh_database(url, case).await;
}

cases!(mariadb, crate::on_mariadb);
cases!(postgres, crate::on_postgres);
