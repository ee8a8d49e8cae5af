use std::sync::Arc;

use e2e::{Answer, OrderBody, OrderService, PlaceOrder, World, becomes};
use libtest_mimic::Trial;
use shared::contract::OrderId;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        one_key_on_both_instances_at_once_is_one_order,
        a_replay_is_answered_with_the_order_on_any_instance,
        a_key_used_for_another_order_is_refused,
        a_key_belongs_to_its_user,
        an_adjustment_counts_once_per_key,
    ]
}

/// Whatever may be in a key.
const KEY: &str = "a_key_of_!#$%&'()*~";

async fn place(
    service: &OrderService,
    order: &PlaceOrder,
    key: &str,
) -> anyhow::Result<(u16, OrderBody)> {
    let request = service
        .order(order)
        .header("Idempotency-Key", key)
        .header("Prefer", "wait=30");
    let answer = Answer::to(request).await?;
    Ok((answer.status.as_u16(), answer.json()?))
}

async fn rows(world: &World, user: i64) -> anyhow::Result<Vec<(OrderId, Option<String>)>> {
    let rows = world.orders_database.orders_of(user).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, row.idempotency_key))
        .collect())
}

async fn one_key_on_both_instances_at_once_is_one_order(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(100).await?;
    let order = world.new_order(product, 7);
    let [a, b] = &world.orders;
    let (first, second, third) = tokio::try_join!(
        place(a, &order, KEY),
        place(b, &order, KEY),
        place(a, &order, KEY)
    )?;
    for (status, body) in [&first, &second, &third] {
        assert!([200, 201].contains(status), "{status}");
        assert_eq!(body.id, first.1.id);
    }
    becomes(
        "the rows",
        vec![(first.1.id, Some(KEY.to_owned()))],
        async || rows(world, order.user_id).await,
    )
    .await?;
    // A second order's record would still be on its way: it is behind one placed now.
    world.orders[1]
        .place_and_wait(&PlaceOrder { qty: 1, ..order })
        .await?;
    let movements = world.catalog_database.movements(first.1.id).await?;
    assert_eq!(movements.len(), 1, "{movements:?}");
    assert_eq!(world.catalog.stock(product).await?, 100 - 7 - 1);
    Ok(())
}

async fn a_replay_is_answered_with_the_order_on_any_instance(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.new_order(product, 1);
    let [a, b] = &world.orders;
    let (status, placed) = place(a, &order, "replayed").await?;
    assert_eq!(status, 201);
    for service in [a, b] {
        // An instance that has not heard of the order yet writes it again, which is the same
        // order but for the time.
        becomes("the replay", (200, placed.clone()), async || {
            let (status, body) = place(service, &order, "replayed").await?;
            let created_at = placed.created_at;
            Ok((status, OrderBody { created_at, ..body }))
        })
        .await?;
    }
    let movements = world.catalog_database.movements(placed.id).await?;
    assert_eq!(movements.len(), 1, "{movements:?}");
    assert_eq!(world.catalog.stock(product).await?, 9);
    Ok(())
}

async fn a_key_used_for_another_order_is_refused(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.new_order(product, 1);
    let (_, placed) = place(&world.orders[0], &order, "taken").await?;
    becomes("the row", 1, async || {
        Ok(rows(world, order.user_id).await?.len())
    })
    .await?;
    for service in &world.orders {
        let other = PlaceOrder { qty: 2, ..order };
        let request = service.order(&other).header("Idempotency-Key", "taken");
        let problem = Answer::to(request).await?.expect(422)?.problem()?;
        assert_eq!(problem.kind, "urn:problem:idempotency-key-reused");
        assert_eq!(problem.id, Some(placed.id.to_string()));
    }
    assert_eq!(world.catalog.stock(product).await?, 9);
    Ok(())
}

async fn a_key_belongs_to_its_user(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let (_, mine) = place(&world.orders[0], &world.new_order(product, 1), "shared").await?;
    let (status, theirs) = place(&world.orders[0], &world.new_order(product, 1), "shared").await?;
    assert_eq!(status, 201);
    assert_ne!(mine.id, theirs.id);
    Ok(())
}

async fn an_adjustment_counts_once_per_key(world: &World) -> anyhow::Result<()> {
    let (one, two) = (world.new_product(10).await?, world.new_product(10).await?);
    let first = world.catalog.adjust(one, "restock", 5).await?.expect(201)?;
    let again = world.catalog.adjust(one, "restock", 5).await?.expect(200)?;
    assert_eq!(first.text(), again.text());
    let other = world.catalog.adjust(one, "restock", 6).await?.expect(422)?;
    assert_eq!(other.problem()?.kind, "urn:problem:idempotency-key-reused");
    world
        .catalog
        .adjust(two, "restock", -10)
        .await?
        .expect(201)?;
    assert_eq!(world.catalog.stock(one).await?, 15);
    assert_eq!(world.catalog.stock(two).await?, 0);
    Ok(())
}
