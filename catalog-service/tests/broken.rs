//! A database that breaks off in mid-transaction, or falls silent.

use std::time::Duration;

use catalog_service::Metrics;
use catalog_service::applier::{Decision, apply};
use catalog_service::catalog::{CatalogError, Written};
use sea_orm::ConnectionTrait;
use test_database::Cable;
use tokio::time::{sleep, timeout};

use crate::common::{CUP, adjustment, reserve, with_stock};

/// Ends the session in the middle of its commit.
const BREAK_OFF: &str = "
    CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER breaks_off AFTER INSERT ON stock_ledger
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION break_off()";

#[tokio::test]
async fn of_a_commit_that_breaks_off_nobody_says_that_it_was_not_made() {
    test_database::on_postgres(async |url| {
        let catalog = with_stock(&url, &[(CUP, 10)]).await;
        catalog.db.execute_unprepared(BREAK_OFF).await.unwrap();
        let restock = adjustment(CUP, "key", 5, "restock");
        let broken = catalog.adjust(&restock).await;
        assert!(
            matches!(broken, Err(CatalogError::OutcomeUnknown(_))),
            "{broken:?}"
        );
        let mended = "DROP TRIGGER breaks_off ON stock_ledger";
        catalog.db.execute_unprepared(mended).await.unwrap();
        let again = catalog.adjust(&restock).await;
        assert!(matches!(again, Ok(Written::New(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_given_up() {
    test_database::on_mariadb(async |url| {
        let cable = Cable::to(&url).await;
        let catalog = with_stock(cable.url(), &[(CUP, 10)]).await;
        let (batch, metrics) = ([reserve(CUP, 1)], Metrics::default());
        let applying = || apply(&catalog.db, &batch, &metrics);
        // A new connection would be given up much sooner.
        let pool = catalog.db.get_mysql_connection_pool();
        while pool.num_idle() == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        cable.silence();
        let silent = timeout(Duration::from_secs(60), applying()).await;
        let silent = silent.expect("an end");
        assert!(silent.is_err(), "{silent:?}");
        cable.mend();
        let decisions = applying().await.unwrap();
        assert!(
            matches!(decisions[..], [Decision::Applied(_)]),
            "{decisions:?}"
        );
    })
    .await;
}
