use std::collections::BTreeSet;
use std::sync::Arc;

use e2e::{OrderBody, Record, World, becomes, eventually};
use futures_util::future::try_join_all;
use libtest_mimic::Trial;
use shared::contract::{OrderId, Status};

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_poison_delta_is_put_aside_and_its_neighbours_are_applied,
        garbage_among_orders_is_put_aside_and_its_neighbours_become_rows,
    ]
}

/// One delta per clause of the contract, each broken.
fn poison(product: i64) -> Vec<Option<Vec<u8>>> {
    let delta = |order: &str, kind: &str, delta: &str| {
        format!(
            r#"{{"order_id":"{order}","product_id":{product},"kind":"{kind}","delta":{delta}}}"#
        )
    };
    let id = OrderId::random().to_string();
    let texts = [
        "garbage".to_owned(),
        String::new(),
        "{}".to_owned(),
        delta(&id, "reserve", "1"),
        delta(&id, "release", "-1"),
        delta(&id, "reserve", "0"),
        delta(&id, "reserve", "-10001"),
        delta(&id, "reserve", "-1e30"),
        delta(&id, "refund", "-1"),
        delta("not-an-id", "reserve", "-1"),
        delta(&id, "reserve", "-1").replace('}', r#","colour":"red"}"#),
    ];
    let mut records: Vec<_> = texts.map(|text| Some(text.into_bytes())).into();
    records.push(Some(vec![0xff, 0xfe, 0x00]));
    records.push(None);
    records
}

async fn a_poison_delta_is_put_aside_and_its_neighbours_are_applied(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let key = product.to_string();
    let before = world.orders[0].place(&world.new_order(product, 1)).await?;
    let mut produced = Vec::new();
    for value in poison(product) {
        let place = world
            .kafka
            .produce("catalog_deltas", None, &key, value.as_deref())
            .await?;
        produced.push((place, value));
    }
    let after = world.orders[0]
        .place_and_wait(&world.new_order(product, 1))
        .await?;
    assert_eq!(after.status, Status::Confirmed);
    assert_eq!(
        world.orders[0].order_by_id(before.id).await?.status,
        Status::Confirmed
    );
    assert_eq!(world.catalog.stock(product).await?, 8);
    eventually("a dead letter about each", async || {
        let letters = world.kafka.read_all("catalog_deltas.dlq").await?;
        for ((partition, offset), value) in &produced {
            let is_it = |letter: &&Record| is_about(letter, "catalog_deltas", *partition, *offset);
            let Some(letter) = letters.iter().find(is_it) else {
                return Ok(None);
            };
            assert_eq!(letter.key.as_deref(), Some(key.as_bytes()));
            assert_eq!(&letter.value, value);
        }
        Ok(Some(()))
    })
    .await
}

/// Whether a dead letter of the catalog-service is about the record at this place, and
/// says why.
fn is_about(letter: &Record, topic: &str, partition: i32, offset: i64) -> bool {
    let header = |name: &str| letter.headers.get(name).map(String::as_str);
    header("dlq.topic") == Some(topic)
        && header("dlq.partition") == Some(&*partition.to_string())
        && header("dlq.offset") == Some(&*offset.to_string())
        && header("dlq.reason").is_some_and(|reason| !reason.is_empty())
}

async fn garbage_among_orders_is_put_aside_and_its_neighbours_become_rows(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(1_000).await?;
    let key = format!("garbage-{product}");
    let partitions = world.kafka.partitions("orders")?;
    let place = || place_one_per_partition(world, product, partitions.len());
    let mut placed = place().await?;
    let mut produced = BTreeSet::new();
    for partition in &partitions {
        for garbage in ["garbage", r#"{"id":"no-envelope"}"#] {
            let value = Some(garbage.as_bytes());
            let place = world
                .kafka
                .produce("orders", Some(*partition), &key, value)
                .await?;
            produced.insert(place);
        }
    }
    placed.extend(place().await?);
    for order in placed {
        becomes("a neighbour's row", true, async || {
            Ok(world.orders_database.order(order.id).await?.is_some())
        })
        .await?;
    }
    becomes("dead letters about each", produced, async || {
        let letters = world.kafka.read_all("orders-sink.dlq").await?;
        // A rebalance may repeat a letter: places count, not letters.
        let ours = letters
            .iter()
            .filter(|letter| letter.key.as_deref() == Some(key.as_bytes()));
        Ok(ours.filter_map(explained_place).collect())
    })
    .await
}

/// A transaction's orders share a partition, the next one's go to the next.
async fn place_one_per_partition(
    world: &World,
    product: i64,
    partitions: usize,
) -> anyhow::Result<Vec<OrderBody>> {
    let mut placed = Vec::new();
    for _ in 0..partitions {
        let one_each = world
            .orders
            .iter()
            .map(async |service| service.place(&world.new_order(product, 1)).await);
        placed.extend(try_join_all(one_each).await?);
    }
    Ok(placed)
}

/// Where the record was that a dead letter of the sink is about, if it says so and why, in
/// Kafka Connect's own headers.
fn explained_place(letter: &Record) -> Option<(i32, i64)> {
    let header = |name: &str| letter.headers.get(&format!("__connect.errors.{name}"));
    let explains = header("topic")? == "orders"
        && header("connector.name")? == "orders-sink"
        && !header("exception.message")?.is_empty();
    let place = (
        header("partition")?.parse().ok()?,
        header("offset")?.parse().ok()?,
    );
    explains.then_some(place)
}
