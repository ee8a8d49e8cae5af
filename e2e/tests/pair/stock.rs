use std::sync::Arc;

use e2e::World;
use libtest_mimic::Trial;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        a_product_is_created_once_and_renamed_afterwards,
        stock_is_the_sum_of_its_ledger,
        stock_cannot_be_written_off_below_zero,
    ]
}

async fn a_product_is_created_once_and_renamed_afterwards(world: &World) -> anyhow::Result<()> {
    let id = world.unique();
    let created = world.catalog.put_product(id, "Cup", 3).await?.expect(201)?;
    assert_eq!(created.header("location"), Some(&*format!("/catalog/{id}")));
    world
        .catalog
        .put_product(id, "Big cup", 99)
        .await?
        .expect(200)?;
    let product = world.catalog.product(id).await?;
    assert_eq!((&*product.name, product.qty), ("Big cup", 3));
    Ok(())
}

async fn stock_is_the_sum_of_its_ledger(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    world
        .catalog
        .adjust(product, "restock", 20)
        .await?
        .expect(201)?;
    world
        .catalog
        .adjust(product, "breakage", -3)
        .await?
        .expect(201)?;
    let service = &world.orders[0];
    let order = service.place_and_wait(&world.new_order(product, 4)).await?;
    service
        .place_and_wait(&world.new_order(product, 10_000))
        .await?;
    service.cancel(order.id).await?.expect(202)?;
    service.place_and_wait(&world.new_order(product, 2)).await?;
    let ledger = world.catalog.ledger(product).await?;
    assert!(ledger.is_sorted_by(|newer, older| newer.decided_at >= older.decided_at));
    let mut movements: Vec<_> = ledger
        .iter()
        .map(|entry| (&*entry.kind, entry.delta))
        .collect();
    movements.sort_unstable();
    let expected = [
        ("adjust", -3),
        ("adjust", 20),
        ("initial", 10),
        ("release", 4),
        ("reserve", -4),
        ("reserve", -2),
        ("reserve", 0),
    ];
    assert_eq!(movements, expected);
    let sum: i64 = ledger.iter().map(|entry| entry.delta).sum();
    assert_eq!(world.catalog.stock(product).await?, sum);
    let rows = world.catalog_database.ledger_of(product).await?;
    assert_eq!(rows.iter().map(|row| row.delta).sum::<i64>(), sum);
    Ok(())
}

async fn stock_cannot_be_written_off_below_zero(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(5).await?;
    let answer = world
        .catalog
        .adjust(product, "too-much", -6)
        .await?
        .expect(409)?;
    let detail = answer.problem()?.detail.unwrap_or_default();
    assert!(detail.contains("below zero"), "{detail}");
    assert_eq!(world.catalog.stock(product).await?, 5);
    Ok(())
}
