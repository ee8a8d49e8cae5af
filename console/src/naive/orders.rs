use rdkafka::error::KafkaResult;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};
use serde_json::json;
use shared::contract::OrderId;

use super::{DELTAS, Ground, ORDERS};

/// An order-service.
pub(super) struct Orders {
    run: String,
    producer: FutureProducer,
}

impl Orders {
    pub(super) fn start(ground: &Ground) -> KafkaResult<Self> {
        let mut config = ground.kafka.client("naive");
        config
            .set("acks", "1")
            // A record without a key goes anywhere.
            .set("sticky.partitioning.linger.ms", "0");
        Ok(Self {
            run: ground.run.clone(),
            producer: config.create()?,
        })
    }

    /// The id with which the client is answered 201.
    pub(super) fn place(&self, qty: i64) -> String {
        let id = OrderId::random().to_string();
        let order = json!({"run": self.run, "id": id, "qty": qty}).to_string();
        let delta = json!({"run": self.run, "id": id, "qty": qty}).to_string();
        self.send(ORDERS, &order);
        self.send(DELTAS, &delta);
        id
    }

    fn send(&self, topic: &str, value: &str) {
        let record = FutureRecord::<(), _>::to(topic).payload(value);
        // Nobody waits for the broker's answer.
        drop(self.producer.send_result(record));
    }

    /// What a process has in memory goes with it.
    pub(super) fn kill(self) {
        self.producer
            .purge(PurgeConfig::default().queue().inflight());
    }
}
