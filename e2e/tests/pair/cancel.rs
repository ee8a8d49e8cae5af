use std::sync::Arc;

use e2e::{OrderBody, World, becomes};
use libtest_mimic::Trial;
use shared::contract::{Reason, Status};

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_cancelled_order_gives_its_stock_back_once,
        cancelling_a_rejected_order_leaves_it_rejected,
        an_order_can_be_cancelled_on_any_instance_straight_away,
    ]
}

/// The kinds and deltas of an order's movements, by kind.
async fn movements(world: &World, order: &OrderBody) -> anyhow::Result<Vec<(String, i64)>> {
    let rows = world.catalog_database.movements(order.id).await?;
    let mut movements: Vec<_> = rows.into_iter().map(|row| (row.kind, row.delta)).collect();
    movements.sort();
    Ok(movements)
}

fn released_and_reserved(released: i64, reserved: i64) -> Vec<(String, i64)> {
    vec![
        ("release".to_owned(), released),
        ("reserve".to_owned(), reserved),
    ]
}

async fn a_cancelled_order_gives_its_stock_back_once(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.orders[0]
        .place_and_wait(&world.new_order(product, 4))
        .await?;
    assert_eq!(world.catalog.stock(product).await?, 6);
    for number in 0..3 {
        world.orders[number % 2]
            .cancel(order.id)
            .await?
            .expect(202)?;
    }
    for service in &world.orders {
        becomes("the status", (Status::Cancelled, None), async || {
            let found = service.order_by_id(order.id).await?;
            Ok((found.status, found.reason))
        })
        .await?;
    }
    // The repeated releases are before this order in the product's partition.
    world.orders[0]
        .place_and_wait(&world.new_order(product, 1))
        .await?;
    assert_eq!(
        movements(world, &order).await?,
        released_and_reserved(4, -4)
    );
    assert_eq!(world.catalog.stock(product).await?, 9);
    let expected = ["release CANCELLED", "reserve CONFIRMED"]
        .map(str::to_owned)
        .to_vec();
    becomes("the outcomes", expected, async || {
        let rows = world.orders_database.outcomes(order.id).await?;
        let kind = |id: &str| id.rsplit_once(':').map_or("", |(_, kind)| kind).to_owned();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|row| format!("{} {}", kind(&row.id), row.status))
            .collect();
        rows.sort();
        Ok(rows)
    })
    .await
}

async fn cancelling_a_rejected_order_leaves_it_rejected(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(1).await?;
    let order = world.orders[0]
        .place_and_wait(&world.new_order(product, 2))
        .await?;
    world.orders[0].cancel(order.id).await?.expect(202)?;
    becomes("the movements", released_and_reserved(0, 0), async || {
        movements(world, &order).await
    })
    .await?;
    for service in &world.orders {
        let found = service.order_by_id(order.id).await?;
        assert_eq!(
            (found.status, found.reason),
            (Status::Rejected, Some(Reason::OutOfStock))
        );
    }
    assert_eq!(world.catalog.stock(product).await?, 1);
    Ok(())
}

async fn an_order_can_be_cancelled_on_any_instance_straight_away(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.orders[0].place(&world.new_order(product, 4)).await?;
    world.orders[1].cancel(order.id).await?.expect(202)?;
    becomes("the movements", released_and_reserved(4, -4), async || {
        movements(world, &order).await
    })
    .await?;
    assert_eq!(world.catalog.stock(product).await?, 10);
    Ok(())
}
