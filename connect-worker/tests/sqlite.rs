//! The sink on SQLite files.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod common;

async fn on_fresh_file(case: impl AsyncFnOnce(String)) {
    let folder = tempfile::tempdir().unwrap();
    case(format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("test.db").display()
    ))
    .await;
}

cases!(sqlite, crate::on_fresh_file);
