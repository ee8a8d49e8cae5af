//! Whatever happens to Connect's own state, the order-service puts the connector back.

use std::collections::BTreeMap;
use std::sync::Arc;

use e2e::{Answer, Process, World, becomes, eventually};
use libtest_mimic::Trial;
use reqwest::Method;
use shared::contract::OrderId;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_deleted_connector_comes_back,
        a_changed_connector_is_put_right,
        a_failed_task_is_restarted,
    ]
}

const CONNECTOR: &str = "/connectors/orders-sink";

async fn a_deleted_connector_comes_back(world: &World) -> anyhow::Result<()> {
    // 409 while Connect rebalances.
    eventually("the connector is deleted", async || {
        let deleted = Answer::to(world.sink.http.request(Method::DELETE, CONNECTOR)).await?;
        deleted.expect(204).map(|_| Some(()))
    })
    .await?;
    world.sink.reaches("RUNNING").await?;
    let order = place(world).await?;
    is_written(world, order).await
}

async fn a_changed_connector_is_put_right(world: &World) -> anyhow::Result<()> {
    let before = config(world).await?;
    let mut changed = before.clone();
    changed.insert("topics".to_owned(), "order_outcomes".to_owned());
    eventually("the connector is changed", async || {
        let request = world.sink.http.put(&format!("{CONNECTOR}/config"));
        let answer = Answer::to(request.json(&changed)).await?;
        answer.expect(200).map(|_| Some(()))
    })
    .await?;
    becomes("the configuration", before, async || config(world).await).await?;
    world.sink.reaches("RUNNING").await?;
    let order = place(world).await?;
    is_written(world, order).await
}

/// Without its table a task gives up: it is told to make none.
async fn a_failed_task_is_restarted(world: &World) -> anyhow::Result<()> {
    let instances = [
        world.process("order-service-a")?,
        world.process("order-service-b")?,
    ];
    let before = restarts(&instances)?;
    world
        .orders_database
        .rename_table("orders", "orders_away")
        .await?;
    let placed = async {
        let order = place(world).await?;
        eventually("the failed task is restarted", async || {
            Ok((restarts(&instances)? > before).then_some(()))
        })
        .await?;
        anyhow::Ok(order)
    }
    .await;
    // Whatever came of it: the other tests need the table.
    world
        .orders_database
        .rename_table("orders_away", "orders")
        .await?;
    is_written(world, placed?).await?;
    world.sink.reaches("RUNNING").await
}

fn restarts(instances: &[&Process]) -> anyhow::Result<usize> {
    let mut count = 0;
    for process in instances {
        count += process
            .output()?
            .matches("restarting the failed connector")
            .count();
    }
    Ok(count)
}

async fn config(world: &World) -> anyhow::Result<BTreeMap<String, String>> {
    let request = world.sink.http.get(&format!("{CONNECTOR}/config"));
    Answer::to(request).await?.expect(200)?.json()
}

async fn place(world: &World) -> anyhow::Result<OrderId> {
    let product = world.new_product(10).await?;
    let order = world.new_order(product, 1);
    Ok(world.orders[0].place(&order).await?.id)
}

async fn is_written(world: &World, order: OrderId) -> anyhow::Result<()> {
    eventually("the order is written", async || {
        Ok(world.orders_database.order(order).await?.map(drop))
    })
    .await
}
