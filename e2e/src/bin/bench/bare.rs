//! The limit: a transactional producer in a closed loop, with nothing around it.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use shared::contract::{Delta, DeltaKind, Order, OrderId, ProductId, Timestamp, UserId};
use shared::kafka::record_headers;

use crate::measure::Run;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Commits `orders` orders, `in_flight` in each transaction, as the order-service would.
pub(crate) fn run(kafka: &str, orders: usize, in_flight: usize) -> anyhow::Result<Run> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("transactional.id", "bench-bare")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "0")
        .create()?;
    producer.init_transactions(TIMEOUT)?;
    let begun = Instant::now();
    let mut run = Run::default();
    for transaction in 0..orders.div_ceil(in_flight) {
        let started = Instant::now();
        producer.begin_transaction()?;
        for number in 0..in_flight {
            send(&producer, transaction, number)?;
        }
        while producer.in_flight_count() > 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        producer.commit_transaction(TIMEOUT)?;
        run.latencies
            .extend(std::iter::repeat_n(started.elapsed(), in_flight));
    }
    run.took = begun.elapsed();
    Ok(run)
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    transaction: usize,
    number: usize,
) -> anyhow::Result<()> {
    let product_id = ProductId(i64::try_from(number % crate::PRODUCTS)? + 1);
    let order = Order {
        id: OrderId::random(),
        user_id: UserId(1),
        product_id,
        qty: 1,
        unit_price: 100,
        total_price: 100,
        created_at: Timestamp::now(),
        idempotency_key: None,
    };
    let delta = Delta {
        order_id: order.id,
        product_id,
        kind: DeltaKind::Reserve,
        delta: -1,
    };
    let headers = record_headers("bench", &shared::kafka::trace_parent(None));
    let (key, payload) = (order.id.to_string(), order.encode());
    let record = BaseRecord::to("orders")
        .partition(i32::try_from(transaction % 6)?)
        .key(&key)
        .payload(&payload)
        .headers(headers.clone());
    producer.send(record).map_err(|(error, _)| error)?;
    let (key, payload) = (product_id.to_string(), delta.encode());
    let record = BaseRecord::to("catalog_deltas")
        .key(&key)
        .payload(&payload)
        .headers(headers);
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(())
}
