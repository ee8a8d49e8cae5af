//! What must hold of the applier and of stock on every database.

mod model;

use std::collections::BTreeMap;

use catalog_service::Metrics;
use catalog_service::applier::{BadDelta, Decision, apply};
use catalog_service::catalog::{Adjustment, Catalog, CatalogError, ProductDetails, Written};
use catalog_service::entities::{Entry, EntryKind, Reference};
use catalog_service::routes::{AdjustmentRequest, ProductRequest};
use catalog_service::store::{self, LedgerPage, LedgerPosition, StockPage};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use shared::contract::{Delta, DeltaKind, OrderId, Outcome, ProductId, Reason, Status};
use shared::settings::DatabaseSettings;

pub(crate) use model::any_history_ends_as_the_model_says;

pub(crate) const CUP: ProductId = ProductId(1);
const POT: ProductId = ProductId(2);
const POISON: ProductId = ProductId(666);

/// The catalog through connections of its own.
pub(crate) async fn connect(url: &str) -> Catalog {
    let db = shared::database::connect(&DatabaseSettings::at(url))
        .await
        .unwrap();
    Catalog {
        db,
        conflicts: Default::default(),
    }
}

pub(crate) async fn with_stock(url: &str, stock: &[(ProductId, i64)]) -> Catalog {
    let catalog = connect(url).await;
    migrations::up(&catalog.db, migrations::Database::Catalog)
        .await
        .unwrap();
    for (product, qty) in stock {
        catalog.put(&details(*product, "Cup", *qty)).await.unwrap();
    }
    catalog
}

fn details(product: ProductId, name: &str, qty: i64) -> ProductDetails {
    let request = ProductRequest {
        name: name.to_owned(),
        unit_price: 1_200,
        qty,
    };
    ProductDetails::try_from((product, request)).unwrap()
}

pub(crate) fn adjustment(product: ProductId, key: &str, delta: i64, reason: &str) -> Adjustment {
    let request = AdjustmentRequest {
        delta,
        reason: reason.to_owned(),
    };
    Adjustment::try_from((product, Ok(Some(key.to_owned())), request)).unwrap()
}

fn delta(order_id: OrderId, product_id: ProductId, kind: DeltaKind, delta: i32) -> Delta {
    Delta {
        order_id,
        product_id,
        kind,
        delta,
    }
}

pub(crate) fn reserve(product: ProductId, qty: i32) -> Delta {
    delta(OrderId::random(), product, DeltaKind::Reserve, -qty)
}

fn release(of: &Delta) -> Delta {
    delta(of.order_id, of.product_id, DeltaKind::Release, -of.delta)
}

async fn applied(catalog: &Catalog, deltas: &[Delta]) -> Vec<Decision> {
    apply(&catalog.db, deltas, &Metrics::default())
        .await
        .unwrap()
}

fn fact(decision: &Decision) -> Option<Outcome> {
    match decision {
        Decision::Applied(fact) | Decision::Repeated(fact) => *fact,
        Decision::Bad(bad) => panic!("bad data: {bad}"),
    }
}

fn statuses(decisions: &[Decision]) -> Vec<Option<Status>> {
    decisions
        .iter()
        .map(|decision| fact(decision).map(|fact| fact.status))
        .collect()
}

async fn ledger(catalog: &Catalog, product_id: ProductId) -> Vec<Entry> {
    let page = LedgerPage {
        product_id,
        after: None,
        limit: 100_000,
    };
    store::list_entries(&catalog.db, page).await.unwrap()
}

/// The stock by product, after checking that it is the sum of its ledger and not below
/// zero.
async fn stock(catalog: &Catalog) -> BTreeMap<ProductId, i64> {
    let page = StockPage {
        after: None,
        limit: 100_000,
    };
    let mut stock = BTreeMap::new();
    for product in store::list_products(&catalog.db, page).await.unwrap() {
        let entries = ledger(catalog, product.product_id).await;
        let sum: i64 = entries.iter().map(|entry| entry.delta).sum();
        assert_eq!(product.qty, sum, "{product:?}");
        assert!(product.qty >= 0, "{product:?}");
        stock.insert(product.product_id, product.qty);
    }
    stock
}

pub(crate) async fn a_batch_becomes_stock_ledger_and_facts(url: &str) {
    let catalog = with_stock(url, &[(CUP, 5), (POT, 3)]).await;
    let first = reserve(CUP, 4);
    let unknown = reserve(ProductId(9), 1);
    let batch = [
        first,
        reserve(POT, 3),
        reserve(CUP, 2),
        unknown,
        release(&first),
    ];
    let decisions = applied(&catalog, &batch).await;
    let expected = [
        Status::Confirmed,
        Status::Confirmed,
        Status::Rejected,
        Status::Rejected,
        Status::Cancelled,
    ];
    assert_eq!(statuses(&decisions), expected.map(Some));
    assert_eq!(stock(&catalog).await, [(CUP, 5), (POT, 0)].into());
    let reference = Reference::order(batch[2].order_id);
    let entry = store::find_entry(&catalog.db, &reference, EntryKind::Reserve)
        .await
        .unwrap();
    let entry = entry.unwrap();
    assert_eq!((entry.delta, entry.status), (0, Some(Status::Rejected)));
    assert_eq!(entry.reason.as_deref(), Some("OUT_OF_STOCK"));
    assert_eq!(
        Some(entry.decided_at),
        fact(&decisions[2]).map(|fact| fact.decided_at)
    );
}

pub(crate) async fn a_redelivered_batch_changes_nothing_and_repeats_its_facts(url: &str) {
    let catalog = with_stock(url, &[(CUP, 50)]).await;
    let early = reserve(CUP, 1);
    let mut batch: Vec<_> = (0..40).map(|_| reserve(CUP, 2)).collect();
    batch.extend([
        release(&batch[0]),
        release(&batch[39]),
        release(&early),
        early,
    ]);
    let first = applied(&catalog, &batch).await;
    let before = (stock(&catalog).await, ledger(&catalog, CUP).await);
    let again = applied(&catalog, &batch).await;
    assert!(
        again
            .iter()
            .all(|decision| matches!(decision, Decision::Repeated(_)))
    );
    let facts = |decisions: &[Decision]| decisions.iter().map(fact).collect::<Vec<_>>();
    assert_eq!(facts(&first), facts(&again));
    assert_eq!((stock(&catalog).await, ledger(&catalog, CUP).await), before);
}

pub(crate) async fn a_release_that_comes_first_cancels_its_order(url: &str) {
    let catalog = with_stock(url, &[(CUP, 5)]).await;
    let order = reserve(CUP, 2);
    let cancelled = fact(&applied(&catalog, &[release(&order)]).await[0]).unwrap();
    assert_eq!(cancelled.kind, DeltaKind::Reserve);
    assert_eq!(cancelled.reason, Some(Reason::CancelledFirst));
    let late = applied(&catalog, &[order]).await;
    assert_eq!(late, [Decision::Repeated(Some(cancelled))]);
    assert_eq!(stock(&catalog).await, [(CUP, 5)].into());
}

/// A rule of the database that the service does not know: no ledger row for one product.
async fn forbid_poison(db: &DatabaseConnection) {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => {
            "CREATE TRIGGER no_poison BEFORE INSERT ON stock_ledger WHEN NEW.product_id = 666 \
             BEGIN SELECT RAISE(ABORT, 'no poison'); END"
        }
        _ => "ALTER TABLE stock_ledger ADD CONSTRAINT no_poison CHECK (product_id <> 666)",
    };
    db.execute_unprepared(sql).await.unwrap();
}

pub(crate) async fn a_poison_delta_is_isolated_and_its_neighbours_are_applied(url: &str) {
    let catalog = with_stock(url, &[(CUP, 1_000)]).await;
    forbid_poison(&catalog.db).await;
    let mut batch: Vec<_> = (0..101).map(|_| reserve(CUP, 1)).collect();
    for at in [17, 18, 100] {
        batch[at] = reserve(POISON, 1);
    }
    let decisions = applied(&catalog, &batch).await;
    assert_eq!(decisions.len(), batch.len());
    for (delta, decision) in batch.iter().zip(&decisions) {
        let refused = matches!(decision, Decision::Bad(BadDelta::Refused(_)));
        assert_eq!(refused, delta.product_id == POISON, "{decision:?}");
    }
    assert_eq!(stock(&catalog).await, [(CUP, 902)].into());
}

/// Several appliers get the same deltas in other orders and batches, as around a
/// rebalance, only worse.
pub(crate) async fn concurrent_appliers_apply_every_delta_once(url: &str) {
    let products: Vec<_> = (1..=10).map(|id| (ProductId(id), 60)).collect();
    let rivals = [
        with_stock(url, &products).await,
        connect(url).await,
        connect(url).await,
    ];
    let mut deltas: Vec<_> = (0..200)
        .map(|n| reserve(ProductId(n % 11 + 1), 2))
        .collect();
    let releases: Vec<_> = deltas.iter().step_by(3).map(release).collect();
    deltas.extend(releases);
    let orders = [
        deltas.clone(),
        deltas.iter().rev().copied().collect(),
        deltas,
    ];
    let runs = rivals
        .iter()
        .zip(&orders)
        .zip([7, 13, 40])
        .map(async |((rival, deltas), size)| {
            let mut facts = Vec::new();
            for batch in deltas.chunks(size) {
                facts.extend(applied(rival, batch).await.iter().filter_map(fact));
            }
            facts
        });
    let mut copies = BTreeMap::new();
    for fact in join_all(runs).await.into_iter().flatten() {
        assert_eq!(
            *copies.entry(fact.id()).or_insert(fact),
            fact,
            "copies of a fact differ"
        );
    }
    stock(&rivals[0]).await;
    let reserved = copies
        .values()
        .filter(|fact| fact.kind == DeltaKind::Reserve)
        .count();
    assert_eq!(reserved, 200);
}

pub(crate) async fn rivals_sell_a_product_to_its_last_piece_and_no_more(url: &str) {
    let rivals = [with_stock(url, &[(CUP, 70)]).await, connect(url).await];
    let runs = rivals.iter().map(async |rival| {
        let mut sold = Vec::new();
        for _ in 0..10 {
            let batch: Vec<_> = (0..5).map(|_| reserve(CUP, 1)).collect();
            sold.extend(statuses(&applied(rival, &batch).await));
        }
        sold
    });
    let sold = join_all(runs).await.concat();
    let confirmed = sold
        .iter()
        .filter(|status| **status == Some(Status::Confirmed));
    assert_eq!((confirmed.count(), sold.len()), (70, 100));
    assert_eq!(stock(&rivals[0]).await, [(CUP, 0)].into());
}

pub(crate) async fn concurrent_puts_create_a_product_once(url: &str) {
    let catalog = with_stock(url, &[]).await;
    let names: Vec<_> = (0..8)
        .map(|n| details(CUP, &format!("Cup {n}"), 10))
        .collect();
    let written = join_all(names.iter().map(|details| catalog.put(details))).await;
    let new = written
        .iter()
        .filter(|written| matches!(written, Ok(Written::New(_))));
    let existing = written
        .iter()
        .filter(|written| matches!(written, Ok(Written::Existing(_))));
    assert_eq!((new.count(), existing.count()), (1, 7), "{written:?}");
    assert_eq!(stock(&catalog).await, [(CUP, 10)].into());
    assert_eq!(ledger(&catalog, CUP).await.len(), 1);
}

pub(crate) async fn an_adjustment_counts_once_per_key(url: &str) {
    let catalog = with_stock(url, &[(CUP, 10), (POT, 10)]).await;
    let restock = adjustment(CUP, "Key", 5, "restock");
    let written = join_all((0..8).map(|_| catalog.adjust(&restock))).await;
    let new = written
        .iter()
        .filter(|written| matches!(written, Ok(Written::New(_))));
    let existing = written
        .iter()
        .filter(|written| matches!(written, Ok(Written::Existing(_))));
    assert_eq!((new.count(), existing.count()), (1, 7), "{written:?}");
    assert_eq!(stock(&catalog).await[&CUP], 15);
    for other in [
        adjustment(CUP, "Key", 6, "restock"),
        adjustment(CUP, "Key", 5, "count"),
    ] {
        let refused = catalog.adjust(&other).await;
        assert!(
            matches!(refused, Err(CatalogError::KeyReused)),
            "{refused:?}"
        );
    }
    for (product, key) in [(CUP, "key"), (POT, "Key")] {
        let written = catalog
            .adjust(&adjustment(product, key, -10, "count"))
            .await
            .unwrap();
        assert!(matches!(written, Written::New(_)), "{product} {key}");
    }
    let below = catalog.adjust(&adjustment(CUP, "more", -6, "count")).await;
    assert!(
        matches!(below, Err(CatalogError::BelowZero { qty: 5, .. })),
        "{below:?}"
    );
    assert_eq!(stock(&catalog).await, [(CUP, 5), (POT, 0)].into());
}

pub(crate) async fn the_ledger_is_paged_newest_first_without_gaps(url: &str) {
    let catalog = with_stock(url, &[(CUP, 1_000), (POT, 1)]).await;
    for size in [1, 5, 9] {
        let batch: Vec<_> = (0..size).map(|_| reserve(CUP, 1)).collect();
        applied(&catalog, &batch).await;
    }
    let all = ledger(&catalog, CUP).await;
    assert_eq!(all.len(), 16);
    assert!(all.is_sorted_by_key(|entry| std::cmp::Reverse(entry.decided_at)));
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = LedgerPage {
            product_id: CUP,
            after: after.take(),
            limit: 4,
        };
        let entries = store::list_entries(&catalog.db, page).await.unwrap();
        let Some(last) = entries.last() else { break };
        after = Some(LedgerPosition::from(last));
        paged.extend(entries);
    }
    assert_eq!(paged, all);
}

/// Names and reasons are people's texts; keys may hold any visible character.
pub(crate) async fn any_script_and_sign_is_kept(url: &str) {
    let catalog = with_stock(url, &[]).await;
    let text = "Tasse ☕ 茶碗 \u{1f375} 'quoted' \\ \"%_;--";
    catalog.put(&details(CUP, text, 1)).await.unwrap();
    let found = store::find_product(&catalog.db, CUP)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.name, text);
    let key: String = ('!'..='~').collect();
    let written = catalog
        .adjust(&adjustment(CUP, &key, 1, text))
        .await
        .unwrap();
    let Written::New(entry) = written else {
        panic!("{written:?}")
    };
    let found = store::find_entry(&catalog.db, &entry.reference, EntryKind::Adjust)
        .await
        .unwrap();
    assert_eq!(found, Some(entry));
}
