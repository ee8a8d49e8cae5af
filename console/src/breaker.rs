//! Breaks parts of the pair, so that one can watch it recover.

use rdkafka::error::KafkaError;
use reqwest::Client;
use serde::Deserialize;
use shared::kafka::{FactProducer, KafkaSettings, OutRecord, record_headers, trace_parent};
use tokio::sync::{mpsc, oneshot};

use crate::settings::{Blow, Deed, Settings};

const PRODUCER: &str = concat!("console@", env!("CARGO_PKG_VERSION"));

pub(crate) struct Breaker {
    blows: mpsc::Sender<Blow>,
    client: Client,
    kafka: KafkaSettings,
    deltas: String,
    /// The sink's connector, by its URL.
    connector: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Kill,
    Start,
    /// The sink only, by Kafka Connect's own means.
    Pause,
    Resume,
}

impl Breaker {
    /// `None` where nothing is to be broken.
    pub(crate) fn new(client: Client, settings: &Settings) -> Option<Self> {
        Some(Self {
            blows: settings.breaker.clone()?,
            client,
            kafka: settings.kafka.clone(),
            deltas: settings.topics.catalog_deltas.clone(),
            connector: format!("{}/connectors/{}", settings.connect, settings.connector),
        })
    }

    /// Says why it could not be done.
    pub(crate) async fn strike(&self, part: String, action: Action) -> Result<(), String> {
        match action {
            Action::Kill => self.blow(part, Deed::Kill).await,
            Action::Start => self.blow(part, Deed::Start).await,
            Action::Pause | Action::Resume if part != "sink" => {
                Err(format!("{part} cannot be paused, only killed"))
            }
            Action::Pause => self.ask_connect("pause").await,
            Action::Resume => self.ask_connect("resume").await,
        }
    }

    async fn blow(&self, part: String, deed: Deed) -> Result<(), String> {
        let (done, outcome) = oneshot::channel();
        let blow = Blow { part, deed, done };
        let gone = || "the pair is stopping".to_owned();
        self.blows.send(blow).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    async fn ask_connect(&self, what: &str) -> Result<(), String> {
        let request = self.client.put(format!("{}/{what}", self.connector));
        let answer = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        answer
            .map(drop)
            .map_err(|error| error.without_url().to_string())
    }

    /// A delta that no catalog-service can apply.
    pub(crate) async fn send_broken_record(&self) -> Result<(), KafkaError> {
        let producer = FactProducer::new(&self.kafka, "console")?;
        let record = OutRecord {
            topic: self.deltas.clone(),
            partition: None,
            key: Some(b"1".to_vec()),
            payload: Some(br#"{"order_id":"not an id","delta":"a lot"}"#.to_vec()),
            timestamp: None,
            headers: record_headers(PRODUCER, &trace_parent(None)),
        };
        producer.send_all(vec![record]).await
    }
}
