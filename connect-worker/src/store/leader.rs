use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::KafkaError;
use shared::kafka::KafkaSettings;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Tells whether this worker runs the connectors: one member of the consumer group of the
/// config topic's only partition owns it. When it dies another one is told so within the
/// session timeout.
///
/// The broker decides, so two may lead for as long as one of them is frozen. That repeats
/// work and loses none: sink tasks share a consumer group, a source task repeats rows.
///
/// Returns after `stop`, once it has left the group.
pub async fn follow_leadership(
    kafka: &KafkaSettings,
    topic: &str,
    leads: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), KafkaError> {
    let consumer: StreamConsumer<Election> = kafka
        .consumer(topic)
        .set("group.id", format!("{topic}-leader"))
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "1500")
        .set("auto.offset.reset", "latest")
        // Whoever leads keeps the partition when another one joins.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create_with_context(Election(leads))?;
    consumer.subscribe(&[topic])?;
    let poll = async {
        loop {
            // The records are somebody else's to read; rebalances are told from within.
            if let Err(error) = consumer.recv().await {
                tracing::debug!(%error, "election");
            }
        }
    };
    stop.run_until_cancelled(poll).await;
    // It waits for the broker.
    tokio::task::spawn_blocking(move || drop(consumer))
        .await
        .ok();
    Ok(())
}

struct Election(watch::Sender<bool>);

impl ClientContext for Election {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "election");
    }
}

impl ConsumerContext for Election {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let leads = match rebalance {
            Rebalance::Assign(partitions) if partitions.count() > 0 => true,
            Rebalance::Revoke(partitions) if partitions.count() > 0 => false,
            Rebalance::Assign(_) | Rebalance::Revoke(_) => return,
            Rebalance::Error(error) => {
                tracing::warn!(%error, "election");
                return;
            }
        };
        tracing::info!(leads, "leadership");
        self.0.send_replace(leads);
    }
}
