use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::ensure;
use e2e::{Answer, OrderBody, OrderRow, PlaceOrder, World, becomes};
use futures_util::future::try_join_all;
use libtest_mimic::Trial;
use shared::contract::{Reason, Status};

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        an_order_becomes_a_row_and_takes_its_stock,
        an_order_is_there_at_once_and_confirmed_soon,
        the_answer_waits_for_the_outcome_if_asked_to,
        an_order_that_does_not_fit_is_rejected_and_takes_nothing,
        an_order_that_fits_exactly_is_confirmed,
        what_is_scarce_is_sold_out_and_never_oversold,
        an_order_for_an_unknown_product_is_rejected,
        orders_of_both_instances_are_in_the_one_database,
    ]
}

async fn an_order_becomes_a_row_and_takes_its_stock(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let placed = world.orders[0].place(&world.new_order(product, 3)).await?;
    becomes("the order's row", Some(row(&placed)), async || {
        Ok(world.orders_database.order(placed.id).await?)
    })
    .await?;
    becomes(
        "its outcomes",
        vec![(format!("{}:reserve", placed.id), "CONFIRMED".to_owned())],
        async || {
            let rows = world.orders_database.outcomes(placed.id).await?;
            Ok(rows.into_iter().map(|row| (row.id, row.status)).collect())
        },
    )
    .await?;
    assert_eq!(world.catalog.stock(product).await?, 7);
    Ok(())
}

async fn an_order_is_there_at_once_and_confirmed_soon(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let placed = world.orders[0].place(&world.new_order(product, 3)).await?;
    for service in &world.orders {
        let found = service.order_by_id(placed.id).await?;
        ensure!(
            without_outcome(&found) == without_outcome(&placed),
            "{found:?}"
        );
        becomes("the order's status", Status::Confirmed, async || {
            Ok(service.order_by_id(placed.id).await?.status)
        })
        .await?;
    }
    Ok(())
}

async fn the_answer_waits_for_the_outcome_if_asked_to(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.new_order(product, 3);
    let request = world.orders[0].order(&order).header("Prefer", "wait=30");
    let answer = Answer::to(request).await?.expect(201)?;
    assert_eq!(answer.header("preference-applied"), Some("wait=30"));
    let placed: OrderBody = answer.json()?;
    assert_eq!((placed.status, placed.reason), (Status::Confirmed, None));
    assert_eq!(placed.total_price, 3 * order.unit_price);
    let path = format!("/orders/{}", placed.id);
    let request = world.orders[1].get(&path).header("Prefer", "wait=30");
    let found: OrderBody = Answer::to(request).await?.expect(200)?.json()?;
    assert_eq!(found, placed);
    Ok(())
}

async fn an_order_that_does_not_fit_is_rejected_and_takes_nothing(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(4).await?;
    let placed = world.orders[0]
        .place_and_wait(&world.new_order(product, 5))
        .await?;
    assert_eq!(
        (placed.status, placed.reason),
        (Status::Rejected, Some(Reason::OutOfStock))
    );
    assert_eq!(world.catalog.stock(product).await?, 4);
    becomes(
        "its outcome",
        Some(("REJECTED".to_owned(), Some("OUT_OF_STOCK".to_owned()))),
        async || {
            let rows = world.orders_database.outcomes(placed.id).await?;
            Ok(rows.into_iter().next().map(|row| (row.status, row.reason)))
        },
    )
    .await
}

async fn an_order_that_fits_exactly_is_confirmed(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(5).await?;
    let placed = world.orders[0]
        .place_and_wait(&world.new_order(product, 5))
        .await?;
    assert_eq!(placed.status, Status::Confirmed);
    assert_eq!(world.catalog.stock(product).await?, 0);
    Ok(())
}

async fn what_is_scarce_is_sold_out_and_never_oversold(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(50).await?;
    let place = async |number: usize| {
        world.orders[number % 2]
            .place_and_wait(&world.new_order(product, 1))
            .await
    };
    let placed = try_join_all((0..80).map(place)).await?;
    let confirmed = placed
        .iter()
        .filter(|order| order.status == Status::Confirmed)
        .count();
    let rejected = placed
        .iter()
        .filter(|order| order.reason == Some(Reason::OutOfStock))
        .count();
    assert_eq!((confirmed, rejected), (50, 30));
    assert_eq!(world.catalog.stock(product).await?, 0);
    Ok(())
}

async fn an_order_for_an_unknown_product_is_rejected(world: &World) -> anyhow::Result<()> {
    let unknown = world.unique();
    let placed = world.orders[0]
        .place_and_wait(&world.new_order(unknown, 1))
        .await?;
    assert_eq!(
        (placed.status, placed.reason),
        (Status::Rejected, Some(Reason::UnknownProduct))
    );
    Ok(())
}

async fn orders_of_both_instances_are_in_the_one_database(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(100).await?;
    let order = PlaceOrder {
        user_id: world.unique(),
        product_id: product,
        qty: 1,
        unit_price: 5,
    };
    let place = async |number: usize| world.orders[number % 2].place(&order).await;
    let placed = try_join_all((0..20).map(place)).await?;
    let ids: BTreeSet<_> = placed.iter().map(|order| order.id).collect();
    assert_eq!(ids.len(), 20);
    becomes("the rows", ids.clone(), async || {
        let rows = world.orders_database.orders_of(order.user_id).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    })
    .await?;
    for service in &world.orders {
        let page = service.list(&format!("user_id={}", order.user_id)).await?;
        assert_eq!(
            page.items
                .iter()
                .map(|order| order.id)
                .collect::<BTreeSet<_>>(),
            ids
        );
    }
    Ok(())
}

/// The row that an order without an idempotency key becomes, its milliseconds included.
fn row(order: &OrderBody) -> OrderRow {
    OrderRow {
        id: order.id,
        user_id: order.user_id,
        product_id: order.product_id,
        qty: order.qty,
        unit_price: order.unit_price,
        total_price: order.total_price,
        created_at: order.created_at,
        idempotency_key: None,
    }
}

fn without_outcome(order: &OrderBody) -> OrderBody {
    OrderBody {
        status: Status::Pending,
        reason: None,
        ..order.clone()
    }
}
