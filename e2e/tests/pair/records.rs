use std::sync::Arc;

use anyhow::Context;
use e2e::{Answer, OrderBody, Record, World};
use libtest_mimic::Trial;
use shared::contract::Status;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        an_order_is_written_byte_for_byte_as_the_fixture,
        a_reservation_is_written_in_the_same_transaction,
        an_outcome_is_written_byte_for_byte_as_the_fixture,
        a_trace_goes_on_through_every_record,
    ]
}

const ORDER: &str = include_str!("../../../shared/fixtures/order.json");
const OUTCOME: &str = include_str!("../../../shared/fixtures/order_outcome.json");
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The fixture with another payload.
fn with_payload(fixture: &str, payload: &str) -> anyhow::Result<String> {
    let (schema, _) = fixture
        .split_once(r#""payload":"#)
        .context("a fixture has a payload")?;
    Ok(format!(r#"{schema}"payload":{payload}}}"#))
}

async fn place(world: &World) -> anyhow::Result<OrderBody> {
    let product = world.new_product(10).await?;
    let request = world.orders[0].order(&world.new_order(product, 2));
    let request = request
        .header("Prefer", "wait=30")
        .header("traceparent", TRACE);
    Answer::to(request).await?.expect(201)?.json()
}

async fn record_of(world: &World, topic: &str, key: &str) -> anyhow::Result<Record> {
    world
        .kafka
        .find(topic, |record| {
            record.key.as_deref() == Some(key.as_bytes())
        })
        .await
}

async fn an_order_is_written_byte_for_byte_as_the_fixture(world: &World) -> anyhow::Result<()> {
    let order = place(world).await?;
    let record = record_of(world, "orders", &order.id.to_string()).await?;
    let payload = format!(
        r#"{{"id":"{}","user_id":{},"product_id":{},"qty":2,"unit_price":1200,"total_price":2400,"created_at":{},"idempotency_key":null}}"#,
        order.id,
        order.user_id,
        order.product_id,
        order.created_at.millis(),
    );
    assert_eq!(record.text(), with_payload(ORDER.trim_end(), &payload)?);
    Ok(())
}

async fn a_reservation_is_written_in_the_same_transaction(world: &World) -> anyhow::Result<()> {
    let order = place(world).await?;
    let record = record_of(world, "catalog_deltas", &order.product_id.to_string()).await?;
    let expected = format!(
        r#"{{"order_id":"{}","product_id":{},"kind":"reserve","delta":-2}}"#,
        order.id, order.product_id,
    );
    assert_eq!(record.text(), expected);
    Ok(())
}

async fn an_outcome_is_written_byte_for_byte_as_the_fixture(world: &World) -> anyhow::Result<()> {
    let order = place(world).await?;
    assert_eq!(order.status, Status::Confirmed);
    let record = record_of(world, "order_outcomes", &order.id.to_string()).await?;
    let ledger = world.catalog_database.movements(order.id).await?;
    let [reserve] = &ledger[..] else {
        anyhow::bail!("one movement: {ledger:?}")
    };
    let payload = format!(
        r#"{{"id":"{id}:reserve","order_id":"{id}","status":"CONFIRMED","reason":null,"decided_at":{}}}"#,
        reserve.decided_at.millis(),
        id = order.id,
    );
    assert_eq!(record.text(), with_payload(OUTCOME.trim_end(), &payload)?);
    Ok(())
}

async fn a_trace_goes_on_through_every_record(world: &World) -> anyhow::Result<()> {
    let order = place(world).await?;
    let (id, product) = (order.id.to_string(), order.product_id.to_string());
    for (topic, key, producer) in [
        ("orders", &id, "order-service"),
        ("catalog_deltas", &product, "order-service"),
        ("order_outcomes", &id, "catalog-service"),
    ] {
        let headers = record_of(world, topic, key).await?.headers;
        let header = |name: &str| headers.get(name).map(String::as_str);
        assert_eq!(header("traceparent"), Some(TRACE), "{topic}");
        assert_eq!(header("content-type"), Some("application/json"), "{topic}");
        let producer = format!("{producer}@{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(header("producer"), Some(&*producer), "{topic}");
    }
    Ok(())
}
