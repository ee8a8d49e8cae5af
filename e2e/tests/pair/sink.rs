use std::sync::Arc;

use anyhow::ensure;
use e2e::{World, becomes};
use libtest_mimic::Trial;
use shared::contract::{OrderId, Status};

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; an_order_is_readable_everywhere_while_the_sink_is_stopped]
}

async fn an_order_is_readable_everywhere_while_the_sink_is_stopped(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    world.sink.stop().await?;
    let placed = placed_and_read_everywhere(world, product).await;
    // Whatever came of it: the other tests need the sink.
    world.sink.start().await?;
    let placed = placed?;
    becomes("the row", true, async || {
        Ok(world.orders_database.order(placed).await?.is_some())
    })
    .await?;
    becomes("the outcome's row", 1, async || {
        Ok(world.orders_database.outcomes(placed).await?.len())
    })
    .await
}

async fn placed_and_read_everywhere(world: &World, product: i64) -> anyhow::Result<OrderId> {
    let placed = world.orders[0].place(&world.new_order(product, 3)).await?;
    let found = world.orders[1].order_by_id(placed.id).await?;
    ensure!((found.id, found.qty) == (placed.id, 3), "{found:?}");
    for service in &world.orders {
        becomes("the status", Status::Confirmed, async || {
            Ok(service.order_by_id(placed.id).await?.status)
        })
        .await?;
    }
    let row = world.orders_database.order(placed.id).await?;
    ensure!(row.is_none(), "the sink is not stopped: {row:?}");
    Ok(placed.id)
}
