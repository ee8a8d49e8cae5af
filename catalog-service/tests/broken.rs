//! A database that breaks off in mid-transaction.

use catalog_service::catalog::{CatalogError, Written};
use sea_orm::ConnectionTrait;

use crate::common::{CUP, adjustment, with_stock};

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
