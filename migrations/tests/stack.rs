//! The migrations on the databases of `cargo xtask stack up`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

mod common;

macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                test_database::on_mariadb(async |url| {
                    super::common::$test(&url).await;
                })
                .await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                test_database::on_postgres(async |url| {
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
    test_database::on_mariadb(async |url| {
        let lock = "DO GET_LOCK(CONCAT('migrations:', MD5(DATABASE())), 0)";
        common::a_held_lock_is_waited_for_and_named(&url, lock).await;
    })
    .await;
}

#[tokio::test]
async fn a_lock_held_on_postgres_is_waited_for_and_named() {
    test_database::on_postgres(async |url| {
        let lock = "SELECT pg_advisory_xact_lock(7309453271847042671)";
        common::a_held_lock_is_waited_for_and_named(&url, lock).await;
    })
    .await;
}
