//! Fresh databases on the servers of `cargo xtask stack up`, for tests.

#![allow(clippy::expect_used, reason = "a test without its database has failed")]

mod cable;

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, Database};
use uuid::Uuid;

pub use cable::Cable;

/// Runs a case on a fresh MariaDB database, given by its URL, and drops the database.
pub async fn on_mariadb(case: impl AsyncFnOnce(String)) {
    let server = server("STACK_MARIADB", "mysql://test:test@127.0.0.1:13306");
    on_fresh_database(&server, &server, "", case).await;
}

/// Runs a case on a fresh PostgreSQL database, given by its URL, and drops the database.
pub async fn on_postgres(case: impl AsyncFnOnce(String)) {
    let server = server("STACK_POSTGRES", "postgres://test:test@127.0.0.1:15432");
    let any_database = format!("{server}/postgres");
    on_fresh_database(&server, &any_database, " WITH (FORCE)", case).await;
}

fn server(variable: &str, default: &str) -> String {
    let url = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    url.trim_end_matches('/').to_owned()
}

async fn on_fresh_database(
    server: &str,
    any_database: &str,
    force: &str,
    case: impl AsyncFnOnce(String),
) {
    let name = format!("test_{}", Uuid::now_v7().simple());
    let admin = Database::connect(any_database)
        .await
        .expect("the server of the stack");
    let create = format!("CREATE DATABASE {name}");
    admin
        .execute_unprepared(&create)
        .await
        .expect("a new database");
    let ended = AssertUnwindSafe(case(format!("{server}/{name}")))
        .catch_unwind()
        .await;
    let drop = format!("DROP DATABASE {name}{force}");
    admin
        .execute_unprepared(&drop)
        .await
        .expect("nobody uses it any more");
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}
