//! The windows that matter, hit on purpose: a process is killed or frozen exactly there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{
    Answer, OrderBody, OrderRow, OrderService, PATIENCE, PlaceOrder, Process, Signal, World,
    becomes, eventually, within,
};
use libtest_mimic::Trial;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use shared::contract::{OrderId, Status};

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        an_order_service_killed_after_begin,
        an_order_service_killed_after_send,
        an_order_service_killed_before_its_commit,
        an_order_service_killed_after_its_commit,
        an_order_service_killed_before_the_answer,
        an_order_service_killed_after_send_by_its_other_producer,
        an_order_service_killed_after_the_commit_of_its_other_producer,
        a_catalog_service_killed_while_it_holds_rows,
        a_catalog_service_killed_between_its_commit_and_the_outcomes,
        a_catalog_service_killed_between_the_outcomes_and_its_offsets,
        a_catalog_service_frozen_while_it_holds_rows_gives_them_up,
        a_sink_killed_between_its_commit_and_its_offsets,
        a_sink_frozen_before_its_write_while_another_takes_over,
    ]
}

/// What depends on how a database treats a frozen client.
pub(crate) fn trials_of_the_database(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; a_catalog_service_frozen_while_it_holds_rows_gives_them_up]
}

const STOP_WITHIN: Duration = Duration::from_secs(20);
const STOCK: i64 = 10;
const QTY: i32 = 3;
const LEFT: i64 = STOCK - QTY as i64;

async fn an_order_service_killed_after_begin(world: &World) -> anyhow::Result<()> {
    order_service_killed_at(world, "order::begun", 0).await
}

async fn an_order_service_killed_after_send(world: &World) -> anyhow::Result<()> {
    order_service_killed_at(world, "order::sent", 0).await
}

async fn an_order_service_killed_before_its_commit(world: &World) -> anyhow::Result<()> {
    order_service_killed_at(world, "order::committing", 0).await
}

async fn an_order_service_killed_after_its_commit(world: &World) -> anyhow::Result<()> {
    order_service_killed_at(world, "order::committed", 0).await
}

async fn an_order_service_killed_before_the_answer(world: &World) -> anyhow::Result<()> {
    order_service_killed_at(world, "order::answering", 0).await
}

/// The producers take turns, and the one before has committed just now.
async fn an_order_service_killed_after_send_by_its_other_producer(
    world: &World,
) -> anyhow::Result<()> {
    order_service_killed_at(world, "order::sent", 1).await
}

async fn an_order_service_killed_after_the_commit_of_its_other_producer(
    world: &World,
) -> anyhow::Result<()> {
    order_service_killed_at(world, "order::committed", 1).await
}

async fn a_catalog_service_killed_while_it_holds_rows(world: &World) -> anyhow::Result<()> {
    catalog_service_killed_at(world, "catalog::locked").await
}

async fn a_catalog_service_killed_between_its_commit_and_the_outcomes(
    world: &World,
) -> anyhow::Result<()> {
    catalog_service_killed_at(world, "catalog::committed").await
}

async fn a_catalog_service_killed_between_the_outcomes_and_its_offsets(
    world: &World,
) -> anyhow::Result<()> {
    catalog_service_killed_at(world, "catalog::published").await
}

/// The client sees a broken connection, and asks again with the same key on the other instance.
async fn order_service_killed_at(
    world: &World,
    point: &str,
    transactions_before: usize,
) -> anyhow::Result<()> {
    let process = world.process("order-service-a")?;
    let order = world.new_order(world.new_product(STOCK).await?, QTY);
    let pause = format!("{point}={transactions_before}*off->pause");
    rearm(process, Some(&pause)).await?;
    process.complete(&world.orders[0]).await?;
    for _ in 0..transactions_before {
        let other = world.new_order(world.new_product(STOCK).await?, QTY);
        world.orders[0].place(&other).await?;
    }
    let killing = async {
        process.reaches_time(transactions_before + 1, point).await?;
        process.kill()
    };
    let (answer, killed) = tokio::join!(Answer::to(keyed(&world.orders[0], &order)), killing);
    killed?;
    ensure!(answer.is_err(), "{answer:?} although it was killed");
    process.arm(None)?;
    process.start_again()?;
    process.complete(&world.orders[0]).await?;

    let answer = Answer::to(keyed(&world.orders[1], &order)).await?;
    ensure!([200, 201].contains(&answer.status.as_u16()), "{answer:?}");
    let placed: OrderBody = answer.json()?;
    once(world, &placed, LEFT).await
}

/// The order is decided once, by the same process started again.
async fn catalog_service_killed_at(world: &World, point: &str) -> anyhow::Result<()> {
    let process = world.process("catalog-service")?;
    let order = world.new_order(world.new_product(STOCK).await?, QTY);
    rearm(process, Some(&format!("{point}=pause"))).await?;
    process.complete(&world.catalog).await?;
    let placed = world.orders[0].place(&order).await?;
    process.reaches(point).await?;
    process.kill()?;
    process.arm(None)?;
    process.start_again()?;
    process.complete(&world.catalog).await?;
    once(world, &placed, LEFT).await
}

/// The database ends the frozen one's transaction, and the group gives its partitions away.
/// Thawed, the frozen one finds all of it done.
async fn a_catalog_service_frozen_while_it_holds_rows_gives_them_up(
    world: &World,
) -> anyhow::Result<()> {
    let frozen = world.process("catalog-service")?;
    let order = world.new_order(world.new_product(STOCK).await?, QTY);
    // Long enough to be frozen in it.
    rearm(frozen, Some("catalog::locked=1*sleep(3000)->off")).await?;
    frozen.complete(&world.catalog).await?;
    let placed = world.orders[0].place(&order).await?;
    frozen.reaches("catalog::locked").await?;
    frozen.signal(Signal::Freeze)?;
    let (other, _) = world.another_catalog_service("b")?;
    becomes("the status", Status::Confirmed, async || {
        Ok(world.orders[0].order_by_id(placed.id).await?.status)
    })
    .await?;
    frozen.signal(Signal::Thaw)?;
    frozen.complete(&world.catalog).await?;
    // It has its part of the group again, and goes on.
    let status = other.stop(Signal::Terminate, STOP_WITHIN).await?;
    ensure!(status.success(), "{}: {status}", other.name());
    world.orders[1]
        .place_and_wait(&PlaceOrder {
            qty: 1,
            user_id: world.unique(),
            ..order
        })
        .await?;
    rearm(frozen, None).await?;
    frozen.complete(&world.catalog).await?;
    once(world, &placed, LEFT - 1).await
}

async fn a_sink_killed_between_its_commit_and_its_offsets(world: &World) -> anyhow::Result<()> {
    let process = sink_process(world)?;
    let order = world.new_order(world.new_product(STOCK).await?, QTY);
    rearm(process, Some("sink::written=pause")).await?;
    world.sink.reaches("RUNNING").await?;
    let placed = world.orders[0].place(&order).await?;
    process.reaches("sink::written").await?;
    process.kill()?;
    process.arm(None)?;
    process.start_again()?;
    world.sink.reaches("RUNNING").await?;
    once(world, &placed, LEFT).await
}

/// Its late write is of facts that are there already.
async fn a_sink_frozen_before_its_write_while_another_takes_over(
    world: &World,
) -> anyhow::Result<()> {
    let frozen = sink_process(world)?;
    let order = world.new_order(world.new_product(STOCK).await?, QTY);
    rearm(frozen, Some("sink::writing=1*sleep(3000)->off")).await?;
    world.sink.reaches("RUNNING").await?;
    let placed = world.orders[0].place(&order).await?;
    frozen.reaches("sink::writing").await?;
    frozen.signal(Signal::Freeze)?;
    let (other, http) = world.second_worker()?;
    let connector: Value =
        serde_json::from_str(include_str!("../../../connectors/orders-sink.json"))?;
    eventually("the other worker has the connector", async || {
        let created = Answer::to(http.post("/connectors").json(&connector)).await?;
        Ok([201, 409].contains(&created.status.as_u16()).then_some(()))
    })
    .await?;
    once(world, &placed, LEFT).await?;
    frozen.signal(Signal::Thaw)?;
    let deleted = Answer::to(http.request(Method::DELETE, "/connectors/orders-sink")).await?;
    deleted.expect(204)?;
    let status = other.stop(Signal::Terminate, STOP_WITHIN).await?;
    ensure!(status.success(), "{}: {status}", other.name());
    // The thawed one has all partitions again, and its late write behind it.
    let next = PlaceOrder {
        qty: 1,
        user_id: world.unique(),
        ..order
    };
    let next = world.orders[1].place_and_wait(&next).await?;
    row(world, next.id).await?;
    once(world, &placed, LEFT - 1).await?;
    rearm(frozen, None).await?;
    world.sink.reaches("RUNNING").await
}

/// Stops it gracefully and starts it with these crash points.
pub(crate) async fn rearm(process: &Process, failpoints: Option<&str>) -> anyhow::Result<()> {
    let status = process.stop(Signal::Terminate, STOP_WITHIN).await?;
    ensure!(status.success(), "{}: {status}", process.name());
    process.arm(failpoints)?;
    process.start_again()
}

fn sink_process(world: &World) -> anyhow::Result<&Process> {
    world.sink.process.as_ref().context("the sink is not ours")
}

fn keyed(service: &OrderService, order: &PlaceOrder) -> RequestBuilder {
    service.order(order).header("Idempotency-Key", "crash")
}

/// One row, one movement, one decision, and the stock that follows.
async fn once(world: &World, placed: &OrderBody, stock: i64) -> anyhow::Result<()> {
    let row = row(world, placed.id).await?;
    assert_eq!(world.orders_database.orders_of(row.user_id).await?.len(), 1);
    let outcomes = within(PATIENCE * 2, "its decision is written", async || {
        let outcomes = world.orders_database.outcomes(placed.id).await?;
        Ok((!outcomes.is_empty()).then_some(outcomes))
    })
    .await?;
    let statuses: Vec<_> = outcomes.iter().map(|outcome| &outcome.status).collect();
    assert_eq!(statuses, [Status::Confirmed.as_str()]);
    assert_eq!(world.catalog.stock(placed.product_id).await?, stock);
    decided_once(world, placed.id).await
}

async fn row(world: &World, id: OrderId) -> anyhow::Result<OrderRow> {
    within(PATIENCE * 2, "its row is written", async || {
        Ok(world.orders_database.order(id).await?)
    })
    .await
}

/// One movement took the stock, and all copies of its fact are one.
async fn decided_once(world: &World, id: OrderId) -> anyhow::Result<()> {
    let movements = world.catalog_database.movements(id).await?;
    let deltas: Vec<_> = movements.iter().map(|movement| movement.delta).collect();
    assert_eq!(deltas, [LEFT - STOCK]);
    let facts = facts(world, id).await?;
    ensure!(!facts.is_empty(), "{id} has no fact on order_outcomes");
    ensure!(facts.iter().all(|fact| *fact == facts[0]), "{facts:?}");
    Ok(())
}

async fn facts(world: &World, id: OrderId) -> anyhow::Result<Vec<String>> {
    let records = world.kafka.read_all("order_outcomes").await?;
    let texts = records.iter().map(e2e::Record::text);
    Ok(texts
        .filter(|text| text.contains(&id.to_string()))
        .collect())
}
