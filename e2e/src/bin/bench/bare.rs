//! The limit: a transactional producer in a closed loop, with nothing around it.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use shared::contract::{Delta, DeltaKind};
use shared::kafka::record_headers;

use crate::measure::Run;
use crate::rows;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Where orders and their deltas go.
#[derive(Clone, Copy)]
pub(crate) struct Topics {
    pub(crate) orders: &'static str,
    pub(crate) deltas: &'static str,
}

impl Topics {
    /// The pair's own: for those who read them.
    pub(crate) const PAIR: Self = Self {
        orders: "orders",
        deltas: "catalog_deltas",
    };
}

/// Commits `orders` orders, `in_flight` in each transaction, as the order-service would.
pub(crate) async fn run(
    kafka: &str,
    topics: Topics,
    orders: usize,
    in_flight: usize,
) -> anyhow::Result<Run> {
    run_compressed(kafka, topics, orders, in_flight, "lz4").await
}

/// As [`run`], with this `compression.type`.
pub(crate) async fn run_compressed(
    kafka: &str,
    topics: Topics,
    orders: usize,
    in_flight: usize,
    codec: &'static str,
) -> anyhow::Result<Run> {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", kafka)
        .set("compression.type", codec);
    tokio::task::spawn_blocking(move || produce(&mut client, topics, orders, in_flight)).await?
}

fn produce(
    client: &mut ClientConfig,
    topics: Topics,
    orders: usize,
    in_flight: usize,
) -> anyhow::Result<Run> {
    let producer: ThreadedProducer<DefaultProducerContext> = client
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
            send(&producer, topics, transaction, number)?;
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
    topics: Topics,
    transaction: usize,
    number: usize,
) -> anyhow::Result<()> {
    let order = rows::order(number)?;
    let delta = Delta {
        order_id: order.id,
        product_id: order.product_id,
        kind: DeltaKind::Reserve,
        delta: -1,
    };
    let headers = record_headers("bench", &shared::kafka::trace_parent(None));
    let (key, payload) = (order.id.to_string(), order.encode());
    let record = BaseRecord::to(topics.orders)
        .partition(i32::try_from(transaction % 6)?)
        .key(&key)
        .payload(&payload)
        .headers(headers.clone());
    producer.send(record).map_err(|(error, _)| error)?;
    let (key, payload) = (delta.product_id.to_string(), delta.encode());
    let record = BaseRecord::to(topics.deltas)
        .key(&key)
        .payload(&payload)
        .headers(headers);
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(())
}
