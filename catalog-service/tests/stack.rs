//! Applier and stock on the databases of `cargo xtask stack up`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "this is a test")]

mod broken;
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
    any_history_ends_as_the_model_says,
}
