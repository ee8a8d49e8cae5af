use std::sync::Arc;

use e2e::{World, becomes};
use libtest_mimic::Trial;
use shared::contract::Status;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; an_order_is_readable_everywhere_while_the_sink_is_stopped]
}

async fn an_order_is_readable_everywhere_while_the_sink_is_stopped(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    world.sink.stop().await?;
    let placed = world.orders[0].place(&world.new_order(product, 3)).await?;
    let found = world.orders[1].order_by_id(placed.id).await?;
    assert_eq!((found.id, found.qty), (placed.id, 3));
    for service in &world.orders {
        becomes("the status", Status::Confirmed, async || {
            Ok(service.order_by_id(placed.id).await?.status)
        })
        .await?;
    }
    assert_eq!(world.orders_database.order(placed.id).await?, None);
    world.sink.start().await?;
    becomes("the row", true, async || {
        Ok(world.orders_database.order(placed.id).await?.is_some())
    })
    .await?;
    becomes("the outcome's row", 1, async || {
        Ok(world.orders_database.outcomes(placed.id).await?.len())
    })
    .await
}
