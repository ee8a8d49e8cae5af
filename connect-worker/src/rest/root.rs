use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use rdkafka::error::KafkaResult;
use rdkafka::producer::{BaseProducer, Producer};
use serde::Serialize;
use shared::kafka::KafkaSettings;
use tokio::sync::OnceCell;

use crate::supervisor::Supervisor;

/// The Kafka cluster this worker works for.
pub struct Cluster {
    kafka: KafkaSettings,
    id: OnceCell<String>,
}

#[derive(Serialize)]
pub(super) struct Root {
    version: &'static str,
    commit: &'static str,
    kafka_cluster_id: Option<String>,
}

impl Cluster {
    pub fn new(kafka: KafkaSettings) -> Self {
        Self {
            kafka,
            id: OnceCell::new(),
        }
    }

    /// Asked once; `None` while the broker does not answer.
    async fn id(&self) -> Option<String> {
        let config = self.kafka.client("cluster-id");
        let ask = move || -> KafkaResult<Option<String>> {
            let client: BaseProducer = config.create()?;
            Ok(client.client().fetch_cluster_id(Duration::from_secs(2)))
        };
        let id = self.id.get_or_try_init(|| async {
            tokio::task::spawn_blocking(ask)
                .await
                .ok()
                .and_then(Result::ok)
                .flatten()
                .ok_or(())
        });
        id.await.ok().cloned()
    }
}

pub(super) async fn root(cluster: Data<Cluster>) -> web::Json<Root> {
    web::Json(Root {
        version: env!("CARGO_PKG_VERSION"),
        commit: "connect-worker",
        kafka_cluster_id: cluster.id().await,
    })
}

/// `GET /health`, in Connect since 4.0.
#[derive(Serialize)]
struct WorkerStatus {
    status: &'static str,
    message: &'static str,
}

pub(super) async fn health(supervisor: Data<Supervisor>) -> HttpResponse {
    match supervisor.names() {
        Ok(_) => HttpResponse::Ok().json(WorkerStatus {
            status: "healthy",
            message: "Worker has completed startup and is ready to handle requests.",
        }),
        Err(_) => HttpResponse::ServiceUnavailable().json(WorkerStatus {
            status: "starting",
            message: "Worker is still starting up.",
        }),
    }
}
