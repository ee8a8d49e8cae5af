//! Valid, damaged and nonsensical records by the ten thousand: each good one is applied, each
//! bad one is a dead letter with its reason, and nobody stops.

mod damage;
mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, ensure};
use e2e::{LedgerRow, World, becomes, eventually};
use libtest_mimic::Trial;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use shared::contract::{Delta, DeltaKind, Order, OrderId, ProductId, Status, Timestamp, UserId};

use self::damage::{Damage, damage};
use self::oracle::{GoodDelta, Verdict};
use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; a_flood_of_good_and_bad_deltas, a_flood_of_good_and_bad_orders]
}

/// Records of one flood.
const SIZE: usize = 50_000;

/// Far from the other tests' products, whatever digit is damaged.
const PRODUCT: i64 = 7_654_321_000_001;
const STOCK: i64 = 1_000_000_000;
const USER: i64 = 7_654_321_000_002;

/// A record, and the key it is found by.
struct Sent {
    key: String,
    /// What it was before it was damaged.
    id: OrderId,
    value: Option<Vec<u8>>,
}

/// The same damage in every run.
fn flood(
    name: &str,
    count: usize,
    path: &str,
    mut valid: impl FnMut(OrderId, usize) -> Vec<u8>,
) -> anyhow::Result<Vec<Sent>> {
    let mut runner = TestRunner::deterministic();
    let damage = damage();
    let mut send = |number: usize| {
        let damage: Damage = damage
            .new_tree(&mut runner)
            .map_err(|reason| anyhow::anyhow!("{reason}"))?
            .current();
        let id = OrderId::random();
        Ok(Sent {
            key: format!("{name}-{number}"),
            id,
            value: damage.done_to(valid(id, number), path),
        })
    };
    (0..count).map(&mut send).collect()
}

async fn produce(world: &World, topic: &str, flood: &[Sent]) -> anyhow::Result<()> {
    let records = flood.iter().map(|sent| (&*sent.key, sent.value.as_deref()));
    world.kafka.produce_keyed(topic, records).await
}

async fn a_flood_of_good_and_bad_deltas(world: &World) -> anyhow::Result<()> {
    world
        .catalog
        .put_product(PRODUCT, "Flooded", STOCK)
        .await?
        .expect(201)?;
    let flood = flood("delta", SIZE, "", |order_id, number| {
        let kind = if number % 4 == 0 {
            DeltaKind::Release
        } else {
            DeltaKind::Reserve
        };
        let qty = i32::try_from(number % 10_000 + 1).unwrap_or(1);
        let delta = Delta {
            order_id,
            product_id: ProductId(PRODUCT),
            kind,
            delta: if kind == DeltaKind::Reserve {
                -qty
            } else {
                qty
            },
        };
        delta.encode()
    })?;
    let judged: Vec<_> = flood
        .iter()
        .map(|sent| oracle::delta(sent.value.as_deref()))
        .collect();
    let bad = || {
        let both = flood.iter().zip(&judged);
        both.filter(|(_, good)| good.is_none())
            .map(|(sent, _)| sent)
    };
    produce(world, "catalog_deltas", &flood).await?;
    eventually("every good delta is in the ledger", async || {
        let ledger = ledger(world).await?;
        let missing = judged.iter().flatten().find(|good| !is_in(&ledger, good));
        ensure!(missing.is_none(), "{missing:?}");
        let applied = bad().find(|sent| ledger.contains_key(&sent.id.to_string()));
        ensure!(applied.is_none(), "{:?}", applied.map(|sent| &sent.key));
        Ok(Some(()))
    })
    .await?;
    let bad: Vec<_> = bad().collect();
    let letters = letters_about(world, "catalog_deltas.dlq", "dlq.reason", &bad).await?;
    assert_eq!(letters.len(), bad.len(), "a good delta is a dead letter");
    let taken = judged.iter().flatten().filter(|good| is_taken(good));
    let taken: i64 = taken.map(|good| good.delta).sum();
    assert_eq!(world.catalog.stock(PRODUCT).await?, STOCK + taken);
    everyone_goes_on(world).await
}

type Ledger = BTreeMap<String, Vec<LedgerRow>>;

async fn ledger(world: &World) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::new();
    for row in world.catalog_database.all_movements().await? {
        ledger.entry(row.reference.clone()).or_default().push(row);
    }
    Ok(ledger)
}

fn is_taken(good: &GoodDelta) -> bool {
    good.kind == "reserve" && good.product_id == PRODUCT
}

/// No order was reserved before, so a release gives nothing back.
fn is_in(ledger: &Ledger, good: &GoodDelta) -> bool {
    let moved = if is_taken(good) { good.delta } else { 0 };
    let rows = ledger.get(&good.reference).into_iter().flatten();
    let is_it = |row: &LedgerRow| {
        row.kind == good.kind && row.product_id == good.product_id && row.delta == moved
    };
    rows.filter(|row| is_it(row)).count() == 1
}

async fn a_flood_of_good_and_bad_orders(world: &World) -> anyhow::Result<()> {
    let schema: Value = serde_json::from_slice(&order(OrderId::random(), 0))?;
    let schema = &schema["schema"];
    let flood = flood("order", SIZE, "/payload", order)?;
    // Connect passes a tombstone over.
    let judge = |sent: Sent| {
        let verdict = oracle::order(sent.value.as_deref()?, schema)?;
        Some((sent, verdict))
    };
    let (flood, judged): (Vec<_>, Vec<_>) = flood.into_iter().filter_map(judge).unzip();
    produce(world, "orders", &flood).await?;
    eventually("every good order is a row", async || {
        let rows = world.orders_database.all_orders().await?;
        for (sent, verdict) in flood.iter().zip(&judged) {
            if let Verdict::Row(row) = verdict {
                let found = rows.get(&row.id.to_string());
                ensure!(
                    found == Some(&Some((**row).clone())),
                    "{}: {found:?}",
                    sent.key
                );
            }
        }
        Ok(Some(()))
    })
    .await?;
    let both = || flood.iter().zip(&judged);
    let bad = both().filter(|(_, verdict)| **verdict == Verdict::Letter);
    let bad: Vec<_> = bad.map(|(sent, _)| sent).collect();
    let reason = "__connect.errors.exception.message";
    let letters = letters_about(world, "orders-sink.dlq", reason, &bad).await?;
    let rows = world.orders_database.all_orders().await?;
    for (sent, verdict) in both() {
        let is_letter = letters.contains(&sent.key);
        let is_right = match verdict {
            Verdict::Row(_) => !is_letter,
            Verdict::Either(id) => is_letter || rows.contains_key(id.trim_end()),
            Verdict::Letter => is_letter,
        };
        ensure!(is_right, "{}: {verdict:?}, a letter: {is_letter}", sent.key);
    }
    everyone_goes_on(world).await
}

fn order(id: OrderId, number: usize) -> Vec<u8> {
    let qty = i32::try_from(number % 10_000 + 1).unwrap_or(1);
    let order = Order {
        id,
        user_id: UserId(USER),
        product_id: ProductId(PRODUCT),
        qty,
        unit_price: 1_200,
        total_price: 1_200 * i64::from(qty),
        created_at: Timestamp::now(),
        idempotency_key: number.is_multiple_of(3).then(|| format!("key-{number}")),
    };
    order.encode()
}

/// Waits until there is a dead letter about each of these, with its value and a reason;
/// returns the keys of all letters about the flood.
async fn letters_about(
    world: &World,
    topic: &str,
    reason: &str,
    bad: &[&Sent],
) -> anyhow::Result<BTreeSet<String>> {
    let kind = bad
        .first()
        .context("nothing was damaged")?
        .key
        .split('-')
        .next();
    let prefix = format!("{}-", kind.unwrap_or_default());
    eventually(&format!("{} dead letters", bad.len()), async || {
        let mut letters = BTreeMap::new();
        for letter in world.kafka.read_all(topic).await? {
            let key = String::from_utf8_lossy(letter.key.as_deref().unwrap_or_default());
            if key.starts_with(&prefix) {
                letters.insert(key.into_owned(), letter);
            }
        }
        for sent in bad {
            let letter = letters.get(&sent.key);
            let letter = letter.with_context(|| format!("none about {}", sent.key))?;
            let explained = letter
                .headers
                .get(reason)
                .is_some_and(|text| !text.is_empty());
            ensure!(explained && letter.value == sent.value, "{letter:?}");
        }
        Ok(Some(letters.into_keys().collect()))
    })
    .await
}

/// The processes are those that were started, and an order takes its whole way.
async fn everyone_goes_on(world: &World) -> anyhow::Result<()> {
    for name in ["order-service-a", "order-service-b", "catalog-service"] {
        ensure!(world.process(name)?.is_running()?, "{name} has ended");
    }
    world.sink.reaches("RUNNING").await?;
    let product = world.new_product(5).await?;
    let placed = world.orders[0]
        .place_and_wait(&world.new_order(product, 1))
        .await?;
    assert_eq!(placed.status, Status::Confirmed);
    becomes("its row", true, async || {
        Ok(world.orders_database.order(placed.id).await?.is_some())
    })
    .await
}
