//! What MariaDB keeps of its tables in memory: beyond it, speed is the disk's.

use anyhow::Context;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use shared::database;
use shared::settings::DatabaseSettings;

use crate::rows;

/// Sets it, in MiB, if asked to; returns what it is, in words.
pub(crate) async fn size(mib: Option<u64>) -> anyhow::Result<String> {
    let server = database::connect(&DatabaseSettings::at(&rows::server()?)).await?;
    if let Some(mib) = mib {
        let set = format!("SET GLOBAL innodb_buffer_pool_size = {mib} * 1024 * 1024");
        server.execute_unprepared(&set).await?;
    }
    let ask = "SELECT @@innodb_buffer_pool_size DIV (1024 * 1024)";
    let row = server
        .query_one_raw(Statement::from_string(DbBackend::MySql, ask))
        .await?;
    let mib: u64 = row.context("a size")?.try_get_by_index(0)?;
    server.close().await?;
    Ok(format!("innodb_buffer_pool_size {mib} MiB"))
}
