use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use shared::contract::OrderId;
use shared::http::Health;

use super::*;
use crate::settings::TailSettings;
use crate::tail::tests::order;

fn becomes(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn send(producer: &BaseProducer, order: &Order) {
    let (key, value) = (order.id.to_string(), order.encode());
    let record = BaseRecord::to("orders").key(&key).payload(&value);
    producer.send(record).unwrap();
    producer.flush(TIMEOUT).unwrap();
}

#[test]
fn a_tail_that_is_refused_says_so_and_starts_over() {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["orders", "order_outcomes"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let kafka = KafkaSettings {
        bootstrap_servers: cluster.bootstrap_servers(),
        ..KafkaSettings::default()
    };
    let producer: BaseProducer = kafka.producer("test").create().unwrap();
    let tail = Tail::new(&TailSettings::default());
    let health = Health::default().degrading("tail");
    let stop = CancellationToken::new();
    let follower = Follower {
        kafka,
        orders: "orders".to_owned(),
        outcomes: "order_outcomes".to_owned(),
        window: Duration::from_secs(30),
        tail: tail.clone(),
        health: health.clone(),
        stop: stop.clone(),
    };
    let following = std::thread::spawn(move || follower.run());
    becomes("the tail follows", || health.is_up());

    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[refused; 1_000]);
    becomes("the tail is down", || !health.is_up());

    cluster.clear_request_errors(RDKafkaApiKey::Fetch);
    let placed = order(OrderId::random());
    becomes("an order arrives", || {
        send(&producer, &placed);
        tail.recent(placed.id).order.is_some()
    });
    assert!(health.is_up());
    stop.cancel();
    following.join().unwrap().unwrap();
}
