//! What must be true before deltas are applied, and is made true in the background: the
//! HTTP server answers meanwhile and says what is missing.

use std::convert::Infallible;
use std::time::Duration;

use migrations::{Database, MigrationError};
use rdkafka::error::KafkaError;
use sea_orm::DatabaseConnection;
use shared::backoff::Backoff;
use shared::http::Dependency;
use shared::kafka::{TopicError, ensure_topics};
use tokio_util::sync::CancellationToken;

use crate::applier::Applier;
use crate::metrics::Metrics;
use crate::settings::Settings;

const PING_EVERY: Duration = Duration::from_secs(2);

/// What no waiting can cure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DutyError {
    #[error(transparent)]
    Topics(TopicError),
    #[error("a Kafka client cannot be made: {0}")]
    Client(#[from] KafkaError),
}

pub(crate) struct Duties {
    pub(crate) settings: Settings,
    pub(crate) db: DatabaseConnection,
    pub(crate) metrics: Metrics,
    pub(crate) health: Dependency,
    pub(crate) stop: CancellationToken,
}

impl Duties {
    /// Tables, then topics, then the applier until the service stops.
    pub(crate) async fn run(self) -> Result<(), DutyError> {
        let stop = self.stop.clone();
        match stop.run_until_cancelled(self.prepare()).await {
            None => return Ok(()),
            Some(prepared) => prepared?,
        }
        let applier = Applier::new(&self.settings, self.db, self.metrics)?;
        let Ok(()) = applier.run(self.health, self.stop).await;
        Ok(())
    }

    async fn prepare(&self) -> Result<(), DutyError> {
        if self.settings.database.migrate {
            self.migrate().await;
        }
        self.ensure_topics().await
    }

    async fn ensure_topics(&self) -> Result<(), DutyError> {
        let topics = &self.settings.topics;
        let topics = [&topics.catalog_deltas, &topics.order_outcomes, &topics.dead_letters];
        let topics = topics.map(Clone::clone);
        let mut backoff = Backoff::default();
        loop {
            match ensure_topics(&self.settings.kafka, &topics).await {
                Ok(()) => return Ok(()),
                Err(error) if !error.is_transient() => return Err(DutyError::Topics(error)),
                Err(error) => self.wait(&mut backoff, error.to_string()).await,
            }
        }
    }

    async fn migrate(&self) {
        let mut backoff = Backoff::default();
        while let Err(error) = migrations::up(&self.db, Database::Catalog).await {
            let reason = match &error {
                MigrationError::Database(cause) => format!("{error}: {cause}"),
                MigrationError::Locked(_) => error.to_string(),
            };
            self.wait(&mut backoff, reason).await;
        }
    }

    async fn wait(&self, backoff: &mut Backoff, reason: String) {
        self.health.down(reason);
        backoff.wait().await;
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
            match db.ping().await {
                Ok(()) => health.up(),
                Err(error) => health.down(error.to_string()),
            }
            tokio::time::sleep(PING_EVERY).await;
        }
    };
    stop.run_until_cancelled(watch).await;
    Ok(())
}
