//! The applier against a model: what the design says about one delta after the other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use catalog_service::applier::Decision;
use catalog_service::catalog::{Catalog, CatalogError};
use catalog_service::entities::{EntryKind, Reference};
use catalog_service::store;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use shared::contract::{Delta, DeltaKind, OrderId, Outcome, ProductId, Reason, Status};

use super::{adjustment, applied, connect, details, fact, with_stock};

/// Of these the last does not exist.
const PRODUCTS: usize = 4;
const PERSISTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/model.proptest-regressions"
);

/// What happens, and how it reaches two appliers on one database.
#[derive(Debug, Clone)]
struct History {
    stock: Vec<i64>,
    /// Product and quantity of each order.
    orders: Vec<(usize, i32)>,
    batches: Vec<Batch>,
}

#[derive(Debug, Clone)]
struct Batch {
    /// Any delta of any order, again and again.
    deltas: Vec<(prop::sample::Index, bool)>,
    delivery: Delivery,
    /// Afterwards: a restock or write-off of a product.
    adjustment: Option<(usize, i64)>,
}

#[derive(Debug, Clone, Copy)]
enum Delivery {
    One,
    Other,
    /// To both at once, as when a frozen instance wakes up.
    Both,
    /// Half of the products to each, at once, as with a partition each.
    Shared,
    /// Sorted by product: only the order within a product is promised.
    Reordered,
    /// Once more to the other, as after a crash, with the batch before it.
    Again,
}

fn histories() -> impl Strategy<Value = History> {
    let delivery = prop_oneof![
        Just(Delivery::One),
        Just(Delivery::Other),
        Just(Delivery::Both),
        Just(Delivery::Shared),
        Just(Delivery::Reordered),
        Just(Delivery::Again),
    ];
    let adjustment = prop::option::of((0..PRODUCTS, (-15_i64..=15).prop_filter("0", |d| *d != 0)));
    let deltas = vec((any::<prop::sample::Index>(), any::<bool>()), 1..12);
    let batch = (deltas, delivery, adjustment).prop_map(|(deltas, delivery, adjustment)| Batch {
        deltas,
        delivery,
        adjustment,
    });
    let stock = vec(0..25_i64, PRODUCTS - 1);
    let orders = vec((0..PRODUCTS, 1..=10_i32), 1..15);
    (stock, orders, vec(batch, 1..8)).prop_map(|(stock, orders, batches)| History {
        stock,
        orders,
        batches,
    })
}

type Row = (i64, Option<Status>, Option<Reason>);

/// The design's rules, one delta after the other.
#[derive(Default)]
struct Model {
    stock: BTreeMap<ProductId, i64>,
    ledger: BTreeMap<(OrderId, DeltaKind), Row>,
}

impl Model {
    /// Kind, status and reason of the fact that the delta has.
    fn apply(&mut self, delta: &Delta) -> Option<(DeltaKind, Status, Option<Reason>)> {
        let reserve = (delta.order_id, DeltaKind::Reserve);
        let release = (delta.order_id, DeltaKind::Release);
        match (delta.kind, self.ledger.get(&reserve).copied()) {
            (DeltaKind::Reserve, None) => {
                let row = self.reserve(delta);
                self.ledger.insert(reserve, row);
            }
            (DeltaKind::Release, None) => {
                let reason = Some(Reason::CancelledFirst);
                self.ledger
                    .insert(reserve, (0, Some(Status::Rejected), reason));
                self.ledger.insert(release, (0, None, None));
            }
            (DeltaKind::Release, Some((reserved, ..))) if !self.ledger.contains_key(&release) => {
                // An unknown product had nothing to give.
                if let Some(qty) = self.stock.get_mut(&delta.product_id) {
                    *qty -= reserved;
                }
                let status = (reserved != 0).then_some(Status::Cancelled);
                self.ledger.insert(release, (-reserved, status, None));
            }
            _ => {}
        }
        let overtaken = self.ledger[&reserve].2 == Some(Reason::CancelledFirst);
        let kind = if overtaken {
            DeltaKind::Reserve
        } else {
            delta.kind
        };
        let (_, status, reason) = self.ledger[&(delta.order_id, kind)];
        Some((kind, status?, reason))
    }

    fn reserve(&mut self, delta: &Delta) -> Row {
        let rejected = |reason| (0, Some(Status::Rejected), Some(reason));
        let change = i64::from(delta.delta);
        match self.stock.get_mut(&delta.product_id) {
            None => rejected(Reason::UnknownProduct),
            Some(qty) if *qty < -change => rejected(Reason::OutOfStock),
            Some(qty) => {
                *qty += change;
                (change, Some(Status::Confirmed), None)
            }
        }
    }
}

/// Both appliers, the model, and every fact seen so far.
struct Run<'a> {
    rivals: &'a [Catalog; 2],
    model: Model,
    facts: BTreeMap<String, Outcome>,
    before: Vec<Delta>,
}

impl Run<'_> {
    async fn deliver(&mut self, mut batch: Vec<Delta>, delivery: Delivery) {
        let [one, other] = self.rivals;
        if matches!(delivery, Delivery::Reordered) {
            batch.sort_by_key(|delta| delta.product_id);
        }
        match delivery {
            Delivery::One | Delivery::Reordered => self.check(&batch, applied(one, &batch).await),
            Delivery::Other => self.check(&batch, applied(other, &batch).await),
            Delivery::Both => {
                let both = tokio::join!(applied(one, &batch), applied(other, &batch));
                self.check(&batch, both.0);
                self.check(&batch, both.1);
            }
            Delivery::Shared => {
                let is_even = |delta: &Delta| delta.product_id.0 % 2 == 0;
                let (even, odd): (Vec<_>, Vec<_>) = batch.iter().partition(|d| is_even(d));
                let both = tokio::join!(applied(one, &even), applied(other, &odd));
                self.check(&even, both.0);
                self.check(&odd, both.1);
            }
            Delivery::Again => {
                self.check(&batch, applied(one, &batch).await);
                let both = [self.before.clone(), batch.clone()].concat();
                self.check(&both, applied(other, &both).await);
            }
        }
        self.before = batch;
    }

    fn check(&mut self, deltas: &[Delta], decisions: Vec<Decision>) {
        assert_eq!(deltas.len(), decisions.len());
        for (delta, decision) in deltas.iter().zip(&decisions) {
            let found = fact(decision);
            let seen = found.map(|fact| (fact.kind, fact.status, fact.reason));
            assert_eq!(seen, self.model.apply(delta), "{delta:?}");
            if let Some(found) = found {
                assert_eq!(found.order_id, delta.order_id);
                let first = *self.facts.entry(found.id()).or_insert(found);
                assert_eq!(first, found, "copies of a fact differ");
            }
        }
    }

    /// Twice, as a client that missed the answer does.
    async fn adjust(&mut self, product: ProductId, delta: i64, key: &str) {
        let change = adjustment(product, key, delta, "count");
        for _ in 0..2 {
            let written = self.rivals[0].adjust(&change).await;
            match self.model.stock.get(&product) {
                None => assert!(matches!(written, Err(CatalogError::UnknownProduct(_)))),
                Some(qty) if qty + delta < 0 => {
                    assert!(matches!(written, Err(CatalogError::BelowZero { .. })));
                }
                Some(_) => assert!(written.is_ok(), "{written:?}"),
            }
            if written.is_err() {
                return;
            }
        }
        *self.model.stock.entry(product).or_default() += delta;
    }

    async fn holds(&self, products: &[ProductId], orders: &[OrderId]) {
        let db = &self.rivals[1].db;
        for product in products {
            let found = store::find_product(db, *product).await.unwrap();
            let found = found.map(|product| product.qty);
            assert_eq!(found, self.model.stock.get(product).copied());
        }
        for order in orders {
            for (kind, entry_kind) in [
                (DeltaKind::Reserve, EntryKind::Reserve),
                (DeltaKind::Release, EntryKind::Release),
            ] {
                let reference = Reference::order(*order);
                let entry = store::find_entry(db, &reference, entry_kind);
                let found = entry.await.unwrap().map(|entry| {
                    let reason = entry.reason.map(|reason| reason.parse().unwrap());
                    (entry.delta, entry.status, reason)
                });
                let expected = self.model.ledger.get(&(*order, kind)).copied();
                assert_eq!(found, expected, "{order} {kind}");
            }
        }
    }
}

async fn run(rivals: &[Catalog; 2], first: i64, history: History) {
    let products: Vec<_> = (first..).map(ProductId).take(PRODUCTS).collect();
    let ids: Vec<_> = history.orders.iter().map(|_| OrderId::random()).collect();
    let mut run = Run {
        rivals,
        model: Model::default(),
        facts: BTreeMap::new(),
        before: Vec::new(),
    };
    for (product, qty) in products.iter().zip(&history.stock) {
        let details = details(*product, "Cup", *qty);
        rivals[0].put(&details).await.unwrap();
        run.model.stock.insert(*product, *qty);
    }
    for (number, batch) in history.batches.iter().enumerate() {
        let deltas = batch.deltas.iter().map(|(order, is_release)| {
            let order = order.index(ids.len());
            let (product, qty) = history.orders[order];
            let (kind, delta) = match is_release {
                true => (DeltaKind::Release, qty),
                false => (DeltaKind::Reserve, -qty),
            };
            super::delta(ids[order], products[product], kind, delta)
        });
        run.deliver(deltas.collect(), batch.delivery).await;
        if let Some((product, delta)) = batch.adjustment {
            let key = format!("{number}");
            run.adjust(products[product], delta, &key).await;
        }
    }
    run.holds(&products, &ids).await;
}

pub(crate) async fn any_history_ends_as_the_model_says(url: &str) {
    let rivals = [with_stock(url, &[]).await, connect(url).await];
    let next = AtomicI64::new(1);
    let config = Config {
        cases: 60,
        max_shrink_iters: 500,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(PERSISTED))),
        ..Config::default()
    };
    let check = || {
        TestRunner::new(config).run(&histories(), |history| {
            // Each case has products of its own.
            let first = next.fetch_add(10, Ordering::Relaxed);
            let runtime = tokio::runtime::Handle::current();
            runtime.block_on(run(&rivals, first, history));
            Ok(())
        })
    };
    if let Err(failure) = tokio::task::block_in_place(check) {
        panic!("{failure}");
    }
}
