use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use tokio_util::sync::CancellationToken;

use super::KafkaSettings;
use crate::http::Dependency;

const EVERY: Duration = Duration::from_secs(2);

/// Keeps `broker` true to whether the broker answers, until cancelled.
pub async fn watch_broker(
    settings: KafkaSettings,
    broker: Dependency,
    stop: CancellationToken,
) -> Result<(), KafkaError> {
    let client: AdminClient<DefaultClientContext> = settings.client("health").create()?;
    let client = Arc::new(client);
    loop {
        let probe = Arc::clone(&client);
        let ask = move || probe.inner().fetch_metadata(None, EVERY).map(drop);
        match tokio::task::spawn_blocking(ask).await {
            Ok(Ok(())) => broker.up(),
            Ok(Err(error)) => broker.down(format!("{}: {error}", settings.bootstrap_servers)),
            Err(_) => return Ok(()),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
