//! The migrations on SQLite files.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

mod common;

use tempfile::TempDir;

fn database() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
    (folder, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_instances_may_start_at_once() {
    let (_folder, url) = database();
    common::five_instances_may_start_at_once(&url).await;
}

#[tokio::test]
async fn up_down_up() {
    let (_folder, url) = database();
    common::up_down_up(&url).await;
}

#[tokio::test]
async fn keys_are_compared_byte_by_byte() {
    let (_folder, url) = database();
    common::keys_are_compared_byte_by_byte(&url).await;
}

#[tokio::test]
async fn stock_below_zero_is_refused() {
    let (_folder, url) = database();
    common::stock_below_zero_is_refused(&url).await;
}

#[tokio::test]
async fn a_held_lock_is_waited_for_and_named() {
    let (_folder, url) = database();
    common::a_held_lock_is_waited_for_and_named(&url, "CREATE TABLE held (x INT)").await;
}
