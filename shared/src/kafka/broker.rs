use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio_util::sync::CancellationToken;

use super::KafkaSettings;
use crate::http::Dependency;

const EVERY: Duration = Duration::from_secs(2);
/// For events that have come already.
const EVENTS: Duration = Duration::from_millis(10);

/// Keeps `broker` true to whether the broker answers, until cancelled.
pub async fn watch_broker(
    settings: KafkaSettings,
    broker: Dependency,
    stop: CancellationToken,
) -> Result<(), KafkaError> {
    let config = settings.client("health");
    // Of all clients a consumer without a group hands out the events of its connections.
    let client = BaseConsumer::from_config_and_context(&config, LastFailure::default())?;
    let client = Arc::new(client);
    loop {
        let probe = Arc::clone(&client);
        match tokio::task::spawn_blocking(move || ask(&probe)).await {
            Ok(Ok(())) => broker.up(),
            Ok(Err(why)) => broker.down(format!("{}: {why}", settings.bootstrap_servers)),
            Err(_) => return Ok(()),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

fn ask(client: &BaseConsumer<LastFailure>) -> Result<(), String> {
    let asked = client.fetch_metadata(None, EVERY);
    while client.poll(EVENTS).is_some() {}
    let mut failure = client.context().0.lock();
    match asked {
        Ok(_) => {
            *failure = None;
            Ok(())
        }
        Err(error) => Err(failure.clone().unwrap_or_else(|| error.to_string())),
    }
}

/// Why the last connection failed. The error of a request tells only that it did, and
/// librdkafka repeats a reason once in a while only.
#[derive(Default)]
struct LastFailure(Mutex<Option<String>>);

impl ClientContext for LastFailure {
    /// The reason is `<broker>: <reason> (after 5ms in state CONNECT)`.
    fn error(&self, error: KafkaError, reason: &str) {
        let consequence = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        if error != consequence {
            let (why, _) = reason.split_once(" (after ").unwrap_or((reason, ""));
            *self.0.lock() = Some(why.to_owned());
        }
    }
}

impl ConsumerContext for LastFailure {}
