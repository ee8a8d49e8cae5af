//! The publisher on librdkafka's mock cluster, which can be taken away from it.

use prometheus_client::registry::Registry;
use rdkafka::Message;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::mocking::MockCluster;
use rdkafka::{Offset, TopicPartitionList};
use shared::contract::{Delta, DeltaKind, OrderId, ProductId};
use shared::http::Health;
use shared::kafka::KafkaSettings;
use shared::traces::Traces;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::settings::{PublisherSettings, Topics};

const PATIENCE: Duration = Duration::from_secs(2);

fn publication() -> Publication {
    Publication {
        order: None,
        delta: Delta {
            order_id: OrderId::random(),
            product_id: ProductId(1),
            kind: DeltaKind::Reserve,
            delta: -1,
        },
        trace_parent: String::new(),
    }
}

async fn appears(kafka: &KafkaSettings, topics: &Topics, order: OrderId) {
    let mut config = kafka.consumer("test");
    let consumer: StreamConsumer = config.set("group.id", "test").create().unwrap();
    let mut partitions = TopicPartitionList::new();
    let deltas = &topics.catalog_deltas;
    partitions.add_partition_range(&deltas.name, 0, deltas.partitions - 1);
    partitions.set_all_offsets(Offset::Beginning).unwrap();
    consumer.assign(&partitions).unwrap();
    loop {
        let record = consumer.recv().await.unwrap();
        let delta = Delta::decode(record.payload().unwrap()).unwrap();
        if delta.order_id == order {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_sent_again_though_its_request_has_been_answered() {
    let (cluster, topics) = (MockCluster::new(1).unwrap(), Topics::default());
    for topic in [&topics.orders, &topics.catalog_deltas] {
        cluster
            .create_topic(&topic.name, topic.partitions, 1)
            .unwrap();
    }
    let kafka = KafkaSettings {
        bootstrap_servers: cluster.bootstrap_servers(),
        ..KafkaSettings::default()
    };
    let metrics = Arc::new(PublishMetrics::register(&mut Registry::default()));
    let (publisher, jobs) = channel(10, PATIENCE, Arc::clone(&metrics));
    let stop = CancellationToken::new();
    let worker = Worker {
        jobs,
        settings: SessionSettings {
            client: kafka.producer("test"),
            transactional_id: "test".to_owned(),
            publisher: PublisherSettings::default(),
            topics: topics.clone(),
        },
        health: Health::default().critical("publisher"),
        metrics,
        traces: Traces::default(),
        stop: stop.clone(),
    };
    let thread = tokio::task::spawn_blocking(move || worker.run());
    while publisher.publish(publication()).await.is_err() {}

    cluster.broker_down(1).unwrap();
    let sent = publication();
    let order = sent.delta.order_id;
    let answer = publisher.publish(sent).await;
    assert_eq!(answer, Err(PublishError::OutcomeUnknown));
    cluster.broker_up(1).unwrap();
    let found = appears(&kafka, &topics, order);
    tokio::time::timeout(Duration::from_secs(60), found)
        .await
        .unwrap();
    stop.cancel();
    thread.await.unwrap().unwrap();
}
