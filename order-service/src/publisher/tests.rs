//! The publisher on librdkafka's mock cluster, which can be taken away from it.

use prometheus_client::registry::Registry;
use rdkafka::Message;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use shared::contract::{Delta, DeltaKind, Order, OrderId, ProductId};
use shared::http::Health;
use shared::kafka::KafkaSettings;
use shared::traces::Traces;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::worker::PublisherStopped;
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

fn order() -> Order {
    let fixture = include_bytes!("../../../shared/fixtures/order.json");
    Order::decode(fixture).unwrap()
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

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let (cluster, topics) = (MockCluster::new(1).unwrap(), Topics::default());
    for topic in [&topics.orders, &topics.catalog_deltas] {
        cluster
            .create_topic(&topic.name, topic.partitions, 1)
            .unwrap();
    }
    cluster
}

struct Scene {
    cluster: Cluster,
    kafka: KafkaSettings,
    topics: Topics,
    publisher: Publisher,
    stop: CancellationToken,
    thread: JoinHandle<Result<(), PublisherStopped>>,
}

impl Scene {
    /// A publisher that has published.
    async fn on(cluster: Cluster) -> Self {
        let topics = Topics::default();
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
        let published = async { while publisher.publish(publication()).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(60), published)
            .await
            .unwrap();
        Self {
            cluster,
            kafka,
            topics,
            publisher,
            stop,
            thread,
        }
    }

    /// Publishes what the broker does not confirm.
    async fn lose(&self) -> OrderId {
        let sent = publication();
        let order = sent.delta.order_id;
        let answer = self.publisher.publish(sent).await;
        assert_eq!(answer, Err(PublishError::OutcomeUnknown));
        order
    }

    async fn appears(&self, order: OrderId) {
        let found = appears(&self.kafka, &self.topics, order);
        tokio::time::timeout(Duration::from_secs(60), found)
            .await
            .unwrap();
    }

    async fn stops(self) {
        self.stop.cancel();
        self.thread.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_sent_again_though_its_request_has_been_answered() {
    let scene = Scene::on(cluster()).await;
    scene.cluster.broker_down(1).unwrap();
    let order = scene.lose().await;
    scene.cluster.broker_up(1).unwrap();
    scene.appears(order).await;
    scene.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_sent_again_though_the_service_stops() {
    let mut scene = Scene::on(cluster()).await;
    scene.cluster.broker_down(1).unwrap();
    let order = scene.lose().await;
    scene.stop.cancel();
    scene.cluster.broker_up(1).unwrap();
    (&mut scene.thread).await.unwrap().unwrap();
    scene.appears(order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_is_sent_while_something_is_in_doubt() {
    let scene = Scene::on(cluster()).await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    let request = RDKafkaApiKey::AddPartitionsToTxn;
    scene.cluster.request_errors(request, &[refusal; 1_000]);
    let order = scene.lose().await;
    let answer = scene.publisher.publish(publication()).await;
    assert_eq!(answer, Err(PublishError::NotSent));
    scene.cluster.clear_request_errors(request);
    scene.appears(order).await;
    scene.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_orders_without_a_leader_stops_nothing() {
    let (cluster, orders) = (cluster(), Topics::default().orders);
    cluster.partition_leader(&orders.name, 0, None).unwrap();
    let scene = Scene::on(cluster).await;
    for _ in 0..orders.partitions {
        let published = Publication {
            order: Some(order()),
            ..publication()
        };
        assert_eq!(scene.publisher.publish(published).await, Ok(()));
    }
    scene.stops().await;
}
