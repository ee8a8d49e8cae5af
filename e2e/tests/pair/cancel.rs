use std::sync::Arc;

use anyhow::ensure;
use e2e::{World, becomes};
use futures_util::future::try_join_all;
use libtest_mimic::Trial;
use shared::contract::{
    Delta, DeltaKind, Order, OrderId, ProductId, Reason, Status, Timestamp, UserId,
};

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_cancelled_order_gives_its_stock_back_once,
        cancelling_a_rejected_order_leaves_it_rejected,
        an_order_can_be_cancelled_on_any_instance_straight_away,
        an_order_cancelled_on_both_instances_at_once_gives_its_stock_back_once,
        a_release_that_comes_first_rejects_the_order_for_ever,
    ]
}

/// The kinds and deltas of an order's movements, by kind.
async fn movements(world: &World, order: OrderId) -> anyhow::Result<Vec<(String, i64)>> {
    let rows = world.catalog_database.movements(order).await?;
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

/// An order of 4 of 10 pieces, however often it was cancelled.
async fn given_back_once(world: &World, product: i64, order: OrderId) -> anyhow::Result<()> {
    // All releases are before this order in the product's partition.
    world.orders[0]
        .place_and_wait(&world.new_order(product, 1))
        .await?;
    assert_eq!(movements(world, order).await?, released_and_reserved(4, -4));
    assert_eq!(world.catalog.stock(product).await?, 9);
    Ok(())
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
    given_back_once(world, product, order.id).await?;
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
        movements(world, order.id).await
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
        movements(world, order.id).await
    })
    .await?;
    assert_eq!(world.catalog.stock(product).await?, 10);
    Ok(())
}

async fn an_order_cancelled_on_both_instances_at_once_gives_its_stock_back_once(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.orders[0]
        .place_and_wait(&world.new_order(product, 4))
        .await?;
    let cancels = (0..20).map(|number| world.orders[number % 2].cancel(order.id));
    for answer in try_join_all(cancels).await? {
        answer.expect(202)?;
    }
    given_back_once(world, product, order.id).await
}

async fn a_release_that_comes_first_rejects_the_order_for_ever(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = order_without_its_reserve(world, product);
    let id = order.id.to_string();
    world
        .kafka
        .produce("orders", None, &id, Some(&order.encode()))
        .await?;
    send_delta(world, &order, DeltaKind::Release).await?;
    stays_cancelled_first(world, order.id).await?;
    for kind in [DeltaKind::Reserve, DeltaKind::Release, DeltaKind::Reserve] {
        send_delta(world, &order, kind).await?;
    }
    world.orders[1].cancel(order.id).await?.expect(202)?;
    // Behind all of them in the product's partition.
    world.orders[0]
        .place_and_wait(&world.new_order(product, 1))
        .await?;
    assert_eq!(
        movements(world, order.id).await?,
        released_and_reserved(0, 0)
    );
    assert_eq!(world.catalog.stock(product).await?, 9);
    stays_cancelled_first(world, order.id).await?;
    let records = world.kafka.read_all("order_outcomes").await?;
    let mut facts: Vec<_> = records.iter().map(e2e::Record::text).collect();
    facts.retain(|fact| fact.contains(&id));
    ensure!(facts.len() > 1, "nothing was repeated: {facts:?}");
    ensure!(facts.iter().all(|fact| *fact == facts[0]), "{facts:?}");
    Ok(())
}

async fn stays_cancelled_first(world: &World, order: OrderId) -> anyhow::Result<()> {
    let expected = (Status::Rejected, Some(Reason::CancelledFirst));
    for service in &world.orders {
        becomes("the status", expected, async || {
            let found = service.order_by_id(order).await?;
            Ok((found.status, found.reason))
        })
        .await?;
    }
    Ok(())
}

fn order_without_its_reserve(world: &World, product: i64) -> Order {
    Order {
        id: OrderId::random(),
        user_id: UserId(world.unique()),
        product_id: ProductId(product),
        qty: 4,
        unit_price: 1_200,
        total_price: 4_800,
        created_at: Timestamp::now(),
        idempotency_key: None,
    }
}

async fn send_delta(world: &World, order: &Order, kind: DeltaKind) -> anyhow::Result<()> {
    let delta = match kind {
        DeltaKind::Reserve => -order.qty,
        DeltaKind::Release => order.qty,
    };
    let delta = Delta {
        order_id: order.id,
        product_id: order.product_id,
        kind,
        delta,
    };
    let key = order.product_id.0.to_string();
    let value = delta.encode();
    world
        .kafka
        .produce("catalog_deltas", None, &key, Some(&value))
        .await?;
    Ok(())
}
