use std::sync::Arc;

use e2e::{OrderBody, World, becomes};
use libtest_mimic::Trial;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        the_list_is_walked_newest_first_and_every_order_met_once,
        the_list_is_filtered_by_user_and_status,
        a_user_without_orders_has_an_empty_list,
    ]
}

async fn the_list_is_walked_newest_first_and_every_order_met_once(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(100).await?;
    let order = world.new_order(product, 1);
    let mut placed = Vec::new();
    for number in 0..25 {
        placed.push(world.orders[number % 2].place(&order).await?);
    }
    becomes("the rows", 25, async || {
        Ok(world.orders_database.orders_of(order.user_id).await?.len())
    })
    .await?;
    placed.sort_by_key(|order| std::cmp::Reverse((order.created_at, order.id)));
    let expected: Vec<_> = placed.iter().map(|order| order.id).collect();
    for limit in [1, 7, 25, 26] {
        let walked = walk(world, &format!("user_id={}&limit={limit}", order.user_id)).await?;
        assert_eq!(
            walked.iter().map(|order| order.id).collect::<Vec<_>>(),
            expected,
            "{limit}"
        );
    }
    Ok(())
}

async fn walk(world: &World, query: &str) -> anyhow::Result<Vec<OrderBody>> {
    let mut walked = Vec::new();
    let mut page = world.orders[0].list(query).await?;
    loop {
        walked.extend(page.items);
        let Some(cursor) = page.next_cursor else {
            return Ok(walked);
        };
        // A cursor is good on every instance.
        let service = &world.orders[walked.len() % 2];
        page = service.list(&format!("{query}&cursor={cursor}")).await?;
    }
}

async fn the_list_is_filtered_by_user_and_status(world: &World) -> anyhow::Result<()> {
    let (mine, other) = (world.new_product(1).await?, world.new_product(10).await?);
    let order = world.new_order(mine, 1);
    let service = &world.orders[0];
    let confirmed = service.place_and_wait(&order).await?;
    let rejected = service.place_and_wait(&order).await?;
    let cancelled = service
        .place_and_wait(&e2e::PlaceOrder {
            product_id: other,
            ..order
        })
        .await?;
    service.cancel(cancelled.id).await?.expect(202)?;
    service.place_and_wait(&world.new_order(other, 1)).await?;
    for (status, expected) in [
        ("CONFIRMED", vec![confirmed.id]),
        ("REJECTED", vec![rejected.id]),
        ("CANCELLED", vec![cancelled.id]),
        ("PENDING", vec![]),
    ] {
        let query = format!("user_id={}&status={status}", order.user_id);
        becomes(&query, expected.clone(), async || {
            let page = service.list(&query).await?;
            Ok(page
                .items
                .into_iter()
                .map(|order| order.id)
                .collect::<Vec<_>>())
        })
        .await?;
        let walked = walk(world, &format!("{query}&limit=1")).await?;
        let walked: Vec<_> = walked.into_iter().map(|order| order.id).collect();
        assert_eq!(walked, expected, "{query}");
    }
    Ok(())
}

async fn a_user_without_orders_has_an_empty_list(world: &World) -> anyhow::Result<()> {
    let page = world.orders[1]
        .list(&format!("user_id={}", world.unique()))
        .await?;
    assert!(page.items.is_empty());
    assert_eq!(page.next_cursor, None);
    Ok(())
}
