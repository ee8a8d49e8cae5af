//! What must be true before deltas are applied, and is made true in the background: the
//! HTTP server answers meanwhile and says what is missing.

use std::convert::Infallible;
use std::time::Duration;

use migrations::{Database, MigrationError};
use rdkafka::error::KafkaError;
use sea_orm::DatabaseConnection;
use shared::backoff::retry;
use shared::http::Dependency;
use shared::kafka::{TopicError, ensure_topics};
use shared::traces::Traces;
use tokio_util::sync::CancellationToken;

use crate::applier::Applier;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::store::answered_within;

const PING_EVERY: Duration = Duration::from_secs(2);
/// Beyond the wait for a connection.
const PING: Duration = Duration::from_secs(10);

/// What no waiting can cure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DutyError {
    #[error(transparent)]
    Tables(#[from] MigrationError),
    #[error(transparent)]
    Topics(#[from] TopicError),
    #[error("a Kafka client cannot be made: {0}")]
    Client(#[from] KafkaError),
}

pub(crate) struct Duties {
    pub(crate) settings: Settings,
    pub(crate) db: DatabaseConnection,
    pub(crate) metrics: Metrics,
    pub(crate) traces: Traces,
    pub(crate) health: Dependency,
    pub(crate) reading: Dependency,
    pub(crate) stop: CancellationToken,
}

impl Duties {
    /// Tables, then topics, then the applier until the service stops.
    pub(crate) async fn run(self) -> Result<(), DutyError> {
        if self.tables().await?.is_none() || self.topics().await?.is_none() {
            return Ok(());
        }
        let applier = Applier::new(&self.settings, self.db, self.metrics, self.traces)?;
        let Ok(()) = applier.run(self.health, self.reading, self.stop).await;
        Ok(())
    }

    /// `None` if the service was stopped first; likewise below.
    async fn tables(&self) -> Result<Option<()>, MigrationError> {
        if !self.settings.database.migrate {
            return Ok(Some(()));
        }
        let migrate = || migrations::up(&self.db, Database::Catalog);
        retry(&self.stop, migrate, |error| {
            self.health.down(error.to_string());
            true
        })
        .await
    }

    async fn topics(&self) -> Result<Option<()>, TopicError> {
        let topics = &self.settings.topics;
        let topics = [
            &topics.catalog_deltas,
            &topics.order_outcomes,
            &topics.dead_letters,
        ]
        .map(Clone::clone);
        let ensure = || ensure_topics(&self.settings.kafka, &topics);
        retry(&self.stop, ensure, |error| {
            self.health.down(error.to_string());
            error.is_transient()
        })
        .await
    }
}

/// Keeps `health` true to whether the database answers, until cancelled.
pub(crate) async fn watch_database(
    db: DatabaseConnection,
    health: Dependency,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let watch = async {
        loop {
            let asked = db.clone();
            match answered_within(PING, async move { asked.ping().await }).await {
                Ok(()) => health.up(),
                Err(error) => health.down(error.to_string()),
            }
            tokio::time::sleep(PING_EVERY).await;
        }
    };
    stop.run_until_cancelled(watch).await;
    Ok(())
}
