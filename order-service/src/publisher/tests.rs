//! The publisher on librdkafka's mock cluster, which can be taken away from it.

use prometheus_client::registry::Registry;
use rdkafka::Message;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::mocking::{MockCluster, MockCoordinator};
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

/// Waits for as many copies of its delta.
async fn appears(kafka: &KafkaSettings, topics: &Topics, order: OrderId, copies: usize) {
    let mut config = kafka.consumer("test");
    let consumer: StreamConsumer = config.set("group.id", "test").create().unwrap();
    let mut partitions = TopicPartitionList::new();
    let deltas = &topics.catalog_deltas;
    partitions.add_partition_range(&deltas.name, 0, deltas.partitions - 1);
    partitions.set_all_offsets(Offset::Beginning).unwrap();
    consumer.assign(&partitions).unwrap();
    let mut found = 0;
    while found < copies {
        let record = consumer.recv().await.unwrap();
        let delta = Delta::decode(record.payload().unwrap()).unwrap();
        found += usize::from(delta.order_id == order);
    }
}

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(brokers: i32) -> Cluster {
    let (cluster, topics) = (MockCluster::new(brokers).unwrap(), Topics::default());
    for topic in [&topics.orders, &topics.catalog_deltas] {
        cluster
            .create_topic(&topic.name, topic.partitions, 1)
            .unwrap();
    }
    cluster
}

/// Each producer has its coordinator on another broker; the second one leads no partition.
fn cluster_of_two() -> Cluster {
    let (cluster, topics) = (cluster(2), Topics::default());
    for topic in [&topics.orders, &topics.catalog_deltas] {
        for partition in 0..topic.partitions {
            cluster
                .partition_leader(&topic.name, partition, Some(1))
                .unwrap();
        }
    }
    for (id, broker) in [("test", 1), ("test.1", 2)] {
        let id = MockCoordinator::Transaction(id.to_owned());
        cluster.coordinator(id, broker).unwrap();
    }
    cluster
}

fn kafka(cluster: &Cluster) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: cluster.bootstrap_servers(),
        ..KafkaSettings::default()
    }
}

fn session(kafka: &KafkaSettings) -> SessionSettings {
    SessionSettings {
        client: kafka.producer("test"),
        transactional_id: "test".to_owned(),
        publisher: PublisherSettings::default(),
        topics: Topics::default(),
    }
}

fn metrics() -> Arc<PublishMetrics> {
    Arc::new(PublishMetrics::register(&mut Registry::default()))
}

async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .unwrap()
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
        let (kafka, metrics) = (kafka(&cluster), metrics());
        let health = Health::default().critical("publisher");
        let (publisher, jobs) = channel(10, PATIENCE, health.clone(), Arc::clone(&metrics));
        let stop = CancellationToken::new();
        let worker = Worker {
            jobs,
            settings: session(&kafka),
            health,
            metrics,
            traces: Traces::default(),
            stop: stop.clone(),
        };
        let thread = tokio::task::spawn_blocking(move || worker.run());
        within_a_minute(async { while publisher.publish(publication()).await.is_err() {} }).await;
        Self {
            cluster,
            kafka,
            topics: Topics::default(),
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
        within_a_minute(appears(&self.kafka, &self.topics, order, 1)).await;
    }

    async fn appears_twice(&self, order: OrderId) {
        within_a_minute(appears(&self.kafka, &self.topics, order, 2)).await;
    }

    async fn stops(self) {
        self.stop.cancel();
        self.thread.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_sent_again_though_its_request_has_been_answered() {
    let scene = Scene::on(cluster(1)).await;
    scene.cluster.broker_down(1).unwrap();
    let order = scene.lose().await;
    scene.cluster.broker_up(1).unwrap();
    scene.appears(order).await;
    scene.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_sent_again_though_the_service_stops() {
    let mut scene = Scene::on(cluster(1)).await;
    scene.cluster.broker_down(1).unwrap();
    let order = scene.lose().await;
    scene.stop.cancel();
    scene.cluster.broker_up(1).unwrap();
    (&mut scene.thread).await.unwrap().unwrap();
    scene.appears(order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_is_sent_while_something_is_in_doubt() {
    let scene = Scene::on(cluster(1)).await;
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
    let (cluster, orders) = (cluster(1), Topics::default().orders);
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

/// A broker that crashed may have left out how both ended.
#[tokio::test(flavor = "multi_thread")]
async fn with_one_producer_the_other_waits_and_sends_its_last_transaction_again() {
    let scene = Scene::on(cluster_of_two()).await;
    let first = publication();
    let mut committed = first.delta.order_id;
    assert_eq!(scene.publisher.publish(first).await, Ok(()));
    scene.cluster.broker_down(2).unwrap();
    // Each second turn is that of the producer that has lost its coordinator.
    let lost = within_a_minute(async {
        loop {
            let sent = publication();
            let order = sent.delta.order_id;
            match scene.publisher.publish(sent).await {
                Ok(()) => committed = order,
                Err(error) => break (order, error),
            }
        }
    });
    let (lost, error) = lost.await;
    assert_eq!(error, PublishError::OutcomeUnknown);
    let answer = scene.publisher.publish(publication()).await;
    assert_eq!(answer, Err(PublishError::NotSent));
    scene.cluster.broker_up(2).unwrap();
    scene.appears(lost).await;
    scene.appears_twice(committed).await;
    scene.stops().await;
}

#[test]
fn a_rival_is_recognized_while_orders_still_gather() {
    let cluster = cluster(1);
    let settings = session(&kafka(&cluster));
    let mut session = settings.open(0, Duration::from_secs(10)).unwrap();
    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
    cluster.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[fenced]);
    let deadline = Instant::now() + Duration::from_secs(60);
    let transaction = session.begin(0).unwrap();
    let error = loop {
        assert!(Instant::now() < deadline);
        if let Err(error) = transaction.send(&publication(), deadline) {
            break error;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(super::session::is_fenced(&error), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_is_told_that_the_outcome_is_unknown_finds_the_publisher_away() {
    let health = Health::default().critical("publisher");
    health.up();
    let (publisher, mut jobs) = channel(1, PATIENCE, health.clone(), metrics());
    let sending = async {
        let job = jobs.recv().await.unwrap();
        assert!(job.claim());
        job
    };
    let (answer, _job) = tokio::join!(publisher.publish(publication()), sending);
    assert_eq!(answer, Err(PublishError::OutcomeUnknown));
    assert!(!health.is_up());
}

#[tokio::test]
async fn a_publisher_that_has_ended_sends_nothing() {
    let health = Health::default().critical("publisher");
    let (publisher, jobs) = channel(1, PATIENCE, health, metrics());
    drop(jobs);
    let answer = publisher.publish(publication()).await;
    assert_eq!(answer, Err(PublishError::NotSent));
}
