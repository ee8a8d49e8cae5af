use std::sync::Arc;

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult};
use shared::database::to_its_end;
use tokio::sync::Semaphore;

/// Asks the database. What is asked is heard to its end, though nobody may wait for it any more.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(super) database: DatabaseConnection,
    /// As many as the pool has connections. Who gives up while waiting for one has asked nothing.
    pub(super) places: Arc<Semaphore>,
}

impl Reader {
    pub(crate) fn new(database: DatabaseConnection, connections: u32) -> Self {
        let places = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            database,
            places: Arc::new(Semaphore::new(places)),
        }
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.database.get_database_backend()
    }

    pub(super) async fn rows(&self, query: SelectStatement) -> Result<Vec<QueryResult>, DbErr> {
        let rows = |database: DatabaseConnection| async move { database.query_all(&query).await };
        self.ask(rows).await
    }

    pub(super) async fn ping(&self) -> Result<(), DbErr> {
        self.ask(|database| async move { database.ping().await })
            .await
    }

    async fn ask<T, A>(&self, question: impl FnOnce(DatabaseConnection) -> A) -> Result<T, DbErr>
    where
        T: Send + 'static,
        A: Future<Output = Result<T, DbErr>> + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let asking = question(self.database.clone());
        to_its_end(async move {
            let answer = asking.await;
            drop(place);
            answer
        })
        .await
    }
}
