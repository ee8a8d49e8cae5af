use std::time::Instant;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use shared::database::to_its_end;
use tokio::time::timeout;

use super::TIMEOUT;
use crate::snapshot::DatabaseState;

/// Whether it answers, and how fast.
pub(super) async fn look(name: &'static str, database: &DatabaseConnection) -> DatabaseState {
    let (begun, database) = (Instant::now(), database.clone());
    let ping = async move { database.execute_unprepared("SELECT 1").await };
    let note = match timeout(TIMEOUT, to_its_end(ping)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("it does not answer".to_owned()),
    };
    DatabaseState {
        name,
        up: note.is_none(),
        latency: note
            .is_none()
            .then(|| begun.elapsed().as_secs_f64() * 1_000.0),
        note: note.unwrap_or_default(),
    }
}
