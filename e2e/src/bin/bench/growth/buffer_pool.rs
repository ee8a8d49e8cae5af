//! What MariaDB keeps of its tables in memory: beyond it, speed is the disk's.

use anyhow::Context;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use shared::database;
use shared::settings::DatabaseSettings;

use crate::rows;

pub(crate) struct BufferPool(DatabaseConnection);

impl BufferPool {
    /// Resized, to so many MiB, if asked to.
    pub(crate) async fn open(mib: Option<u64>) -> anyhow::Result<Self> {
        let server = database::connect(&DatabaseSettings::at(&rows::server()?)).await?;
        if let Some(mib) = mib {
            let set = format!("SET GLOBAL innodb_buffer_pool_size = {mib} * 1024 * 1024");
            server.execute_unprepared(&set).await?;
        }
        Ok(Self(server))
    }

    /// Its size, in words.
    pub(crate) async fn size(&self) -> anyhow::Result<String> {
        let mib = "@@innodb_buffer_pool_size DIV (1024 * 1024)";
        let mib = self.number(&format!("SELECT {mib}")).await?;
        Ok(format!("innodb_buffer_pool_size {mib} MiB"))
    }

    /// How often anybody has looked at a page of a table or an index, since the server's start.
    pub(crate) async fn looks(&self) -> anyhow::Result<usize> {
        let looks = self
            .number(
                "SELECT CAST(variable_value AS UNSIGNED) FROM information_schema.global_status \
                 WHERE variable_name = 'Innodb_buffer_pool_read_requests'",
            )
            .await?;
        Ok(usize::try_from(looks)?)
    }

    async fn number(&self, query: &str) -> anyhow::Result<u64> {
        let query = Statement::from_string(DbBackend::MySql, query);
        let row = self.0.query_one_raw(query).await?;
        Ok(row.context("a number")?.try_get_by_index(0)?)
    }
}
