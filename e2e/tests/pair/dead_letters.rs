use std::sync::Arc;

use anyhow::ensure;
use e2e::{DeadLetter, DeadLetters, Record, World, becomes};
use libtest_mimic::Trial;
use serde_json::Value;
use shared::contract::{Order, OrderId, Status};

use crate::crash_points::rearm;
use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_dead_delta_is_put_back_once_and_only_when_it_can_be_applied,
        a_poisoned_delta_is_listed_and_stays_where_it_is,
    ]
}

pub(crate) fn trials_alone(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_replay_killed_before_its_commit,
        a_replay_killed_between_its_commit_and_its_answer,
    ]
}

/// Where the sink is connect-worker.
pub(crate) fn trials_of_the_worker(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_dead_row_is_put_back_once_and_only_when_it_can_be_written,
        garbage_for_the_sink_is_listed_and_stays_where_it_is,
    ]
}

async fn a_dead_delta_is_put_back_once_and_only_when_it_can_be_applied(
    world: &World,
) -> anyhow::Result<()> {
    let dead = dead_release(world).await?;
    let Dead {
        letters, letter, ..
    } = &dead;
    assert!(letter.reason.contains("gone from stock"), "{letter:?}");
    let problem = letters.replay(letter).await?.expect(422)?.problem()?;
    let detail = problem.detail.unwrap_or_default();
    assert!(detail.contains("gone from stock"), "{detail}");
    cure(world, &dead).await?;
    put_back_once(world, letters, letter).await?;
    released_once(world, &dead).await
}

async fn a_replay_killed_before_its_commit(world: &World) -> anyhow::Result<()> {
    replay_killed_at(world, "replay::sent", "replayed").await
}

async fn a_replay_killed_between_its_commit_and_its_answer(world: &World) -> anyhow::Result<()> {
    replay_killed_at(world, "replay::committed", "already replayed").await
}

/// Who asked sees a broken connection, and asks again.
async fn replay_killed_at(world: &World, point: &str, then: &str) -> anyhow::Result<()> {
    let dead = dead_release(world).await?;
    cure(world, &dead).await?;
    let process = world.process("catalog-service")?;
    rearm(process, Some(&format!("{point}=pause"))).await?;
    process.complete(&world.catalog).await?;
    let killing = async {
        process.reaches(point).await?;
        process.kill()
    };
    let (answer, killed) = tokio::join!(dead.letters.replay(&dead.letter), killing);
    killed?;
    ensure!(answer.is_err(), "{answer:?} although it was killed");
    process.arm(None)?;
    process.start_again()?;
    process.complete(&world.catalog).await?;

    let answer = dead.letters.put_back(&dead.letter).await?;
    assert_eq!(answer.json::<Value>()?["status"], then);
    released_once(world, &dead).await
}

/// A cancellation that could not be applied since its product was gone.
struct Dead {
    order: OrderId,
    product: i64,
    hidden: i64,
    letters: DeadLetters,
    letter: DeadLetter,
}

async fn dead_release(world: &World) -> anyhow::Result<Dead> {
    let product = world.new_product(10).await?;
    let order = world.orders[0]
        .place_and_wait(&world.new_order(product, 4))
        .await?
        .id;
    let hidden = world.unique();
    let database = &world.catalog_database;
    database.rename_product(product, hidden).await?;
    world.orders[0].cancel(order).await?.expect(202)?;
    let letters = world.catalog.dead_letters();
    let letter = letters.about(&order.to_string()).await?;
    Ok(Dead {
        order,
        product,
        hidden,
        letters,
        letter,
    })
}

async fn cure(world: &World, dead: &Dead) -> anyhow::Result<()> {
    let database = &world.catalog_database;
    Ok(database.rename_product(dead.hidden, dead.product).await?)
}

async fn released_once(world: &World, dead: &Dead) -> anyhow::Result<()> {
    becomes("the status", Status::Cancelled, async || {
        Ok(world.orders[0].order_by_id(dead.order).await?.status)
    })
    .await?;
    // Whatever was put back is before this order in the product's partition.
    world.orders[0]
        .place_and_wait(&world.new_order(dead.product, 1))
        .await?;
    assert_eq!(world.catalog.stock(dead.product).await?, 9);
    let key = dead.product.to_string();
    let is_copy = |record: &Record| is_of_key(record, &key) && record.text().contains("release");
    let copies = copies(world, "catalog_deltas", is_copy).await?;
    assert_eq!(copies.len(), 2, "the one that died, and the one put back");
    same_but_for_its_place(&copies, &dead.letter)
}

async fn a_poisoned_delta_is_listed_and_stays_where_it_is(world: &World) -> anyhow::Result<()> {
    let letters = world.catalog.dead_letters();
    garbage_stays(world, "catalog_deltas", &letters, "not a delta").await
}

async fn a_dead_row_is_put_back_once_and_only_when_it_can_be_written(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.new_order(product, 4);
    let database = &world.orders_database;
    database.refuse_user(order.user_id).await?;
    let order = world.orders[0].place(&order).await?;
    let letters = world.sink.dead_letters();
    let letter = letters.about(&order.id.to_string()).await?;
    let constraint = format!("refuses_{}", order.user_id);
    assert!(letter.reason.contains(&constraint), "{letter:?}");
    let refused = letters.replay(&letter).await?.expect(422)?;
    assert!(refused.text().contains(&constraint), "{}", refused.text());
    assert!(database.order(order.id).await?.is_none());
    let readiness = world.sink.http.readiness().await?;
    assert!(readiness["dead_letters"].as_i64() > Some(0), "{readiness}");

    database.accept_user(order.user_id).await?;
    put_back_once(world, &letters, &letter).await?;
    becomes("the row", true, async || {
        Ok(database.order(order.id).await?.is_some())
    })
    .await?;
    let found = world.orders[0].order_by_id(order.id).await?;
    assert_eq!(found.status, Status::Confirmed);
    let copies = copies(world, "orders", |record| is_order(record, order.id)).await?;
    assert_eq!(copies.len(), 2, "the one that died, and the one put back");
    same_but_for_its_place(&copies, &letter)
}

async fn garbage_for_the_sink_is_listed_and_stays_where_it_is(world: &World) -> anyhow::Result<()> {
    let letters = world.sink.dead_letters();
    garbage_stays(world, "orders", &letters, "Converting byte[]").await
}

/// Two ask at once, as people do who see the same letter; then both again.
async fn put_back_once(
    world: &World,
    letters: &DeadLetters,
    letter: &DeadLetter,
) -> anyhow::Result<()> {
    // The embedded broker fences nobody: there both would be taken.
    let at_once = if world.kind.is_real() { 2 } else { 1 };
    let asked = (0..at_once).map(|_| letters.replay(letter));
    for answer in futures_util::future::join_all(asked).await {
        let status = answer?.status.as_u16();
        assert!([200, 503].contains(&status), "{status}");
    }
    letters.put_back(letter).await?;
    for _ in 0..2 {
        let answer = letters.put_back(letter).await?;
        assert!(answer.text().contains("already"), "{}", answer.text());
    }
    let after = letters.all().await?;
    let listed = after.iter().find(|other| same_place(other, letter));
    assert!(listed.is_some_and(|letter| letter.replayed_at.is_some()));
    Ok(())
}

fn same_place(one: &DeadLetter, other: &DeadLetter) -> bool {
    (one.partition, one.offset) == (other.partition, other.offset)
}

async fn garbage_stays(
    world: &World,
    topic: &str,
    letters: &DeadLetters,
    reason: &str,
) -> anyhow::Result<()> {
    let key = world.unique().to_string();
    let garbage = format!("garbage {key}");
    let value = Some(garbage.as_bytes());
    let (partition, offset) = world.kafka.produce(topic, None, &key, value).await?;
    let letter = letters.about(&garbage).await?;
    assert!(letter.reason.contains(reason), "{letter:?}");
    let original = &letter.original;
    let place = (&*original.topic, original.partition, original.offset);
    assert_eq!(place, (topic, partition, offset));
    for _ in 0..2 {
        letters.replay(&letter).await?.expect(422)?;
    }
    assert_eq!(letters.about(&garbage).await?, letter);
    Ok(())
}

async fn copies(
    world: &World,
    topic: &str,
    is_copy: impl Fn(&Record) -> bool,
) -> anyhow::Result<Vec<Record>> {
    let mut records = world.kafka.read_all(topic).await?;
    records.retain(is_copy);
    Ok(records)
}

fn is_of_key(record: &Record, key: &str) -> bool {
    record.key.as_deref() == Some(key.as_bytes())
}

fn is_order(record: &Record, id: OrderId) -> bool {
    let order = record.value.as_deref().map(Order::decode);
    order.is_some_and(|order| order.is_ok_and(|order| order.id == id))
}

fn same_but_for_its_place(copies: &[Record], letter: &DeadLetter) -> anyhow::Result<()> {
    let [died, back] = copies else {
        anyhow::bail!("{copies:?}");
    };
    let offset = back.offset;
    assert_eq!(
        *back,
        Record {
            offset,
            ..died.clone()
        }
    );
    assert_eq!(died.timestamp, Some(letter.timestamp.millis()));
    Ok(())
}
