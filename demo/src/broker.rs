#![allow(
    unsafe_code,
    reason = "the binding's own mock cluster hides the two calls needed here"
)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::time::Duration;

use anyhow::{Context, ensure};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka_sys::bindings as librdkafka;
use rdkafka_sys::types::RDKafkaErrorCode;
use shared::kafka::{KafkaSettings, TopicSettings};

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Fails where no broker answers: the pair itself would wait for it.
pub(crate) async fn answers(kafka: &KafkaSettings) -> anyhow::Result<()> {
    let client: BaseProducer = kafka.client("demo").create().context("--kafka")?;
    let ask = move || {
        client
            .client()
            .fetch_metadata(None, ANSWERS_WITHIN)
            .map(drop)
    };
    let asked = tokio::task::spawn_blocking(ask).await?;
    asked.with_context(|| {
        format!(
            "no broker answers at {}: start it, correct --kafka, or leave --kafka out for the \
             embedded one",
            kafka.bootstrap_servers
        )
    })
}

/// librdkafka's in-process broker, which lives as long as the client that carries it.
///
/// Records of transactions that are open or aborted reach readers, nothing is fenced,
/// and a partition keeps 5 MiB. It is good for trying things out and for fast tests.
pub(crate) struct EmbeddedBroker {
    _carrier: BaseProducer,
    bootstrap_servers: String,
}

impl EmbeddedBroker {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let carrier: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .create()
            .context("the embedded broker does not start")?;
        // SAFETY: the client outlives the borrowed cluster, which it owns.
        let cluster =
            unsafe { librdkafka::rd_kafka_handle_mock_cluster(carrier.client().native_ptr()) };
        ensure!(!cluster.is_null(), "this librdkafka has no embedded broker");
        // A group's first member would wait 3 s for others to join.
        // SAFETY: `cluster` is not null and lives as long as `carrier`.
        unsafe { librdkafka::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0) };
        for topic in topics() {
            let name = CString::new(topic.name.as_str())?;
            // SAFETY: as above; the name is copied.
            let code = unsafe {
                librdkafka::rd_kafka_mock_topic_create(cluster, name.as_ptr(), topic.partitions, 1)
            };
            ensure!(
                RDKafkaErrorCode::from(code) == RDKafkaErrorCode::NoError,
                "topic {}",
                topic.name
            );
        }
        // SAFETY: as above; the text belongs to the cluster and is copied.
        let servers =
            unsafe { CStr::from_ptr(librdkafka::rd_kafka_mock_cluster_bootstraps(cluster)) };
        let bootstrap_servers = servers.to_str()?.to_owned();
        Ok(Self {
            _carrier: carrier,
            bootstrap_servers,
        })
    }

    pub(crate) fn settings(&self) -> KafkaSettings {
        let properties = [
            // It answers an empty fetch late, and holds a full one back as long.
            ("fetch.wait.max.ms", "50"),
            // It lets a member in that comes back only after the old one's session.
            ("session.timeout.ms", "3000"),
            ("heartbeat.interval.ms", "500"),
        ];
        KafkaSettings {
            bootstrap_servers: self.bootstrap_servers.clone(),
            properties: BTreeMap::from(
                properties.map(|(name, value)| (name.to_owned(), value.to_owned())),
            ),
        }
    }
}

/// It cannot be asked to create a topic, and would create a missing one with its own
/// number of partitions.
fn topics() -> Vec<TopicSettings> {
    let orders = order_service::Topics::default();
    let catalog = catalog_service::Topics::default();
    let naive = console::NAIVE_TOPICS.map(|name| TopicSettings::new(name, 3));
    let pair = vec![
        orders.orders,
        orders.catalog_deltas,
        orders.order_outcomes,
        orders.orders_sink_dlq,
        catalog.dead_letters,
    ];
    [pair, naive.into()].concat()
}
