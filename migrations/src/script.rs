use sea_orm::{ConnectionTrait as _, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// A migration whose DDL is written out per database: types, character sets and
/// collations differ more than a schema builder can express.
///
/// Every statement can be repeated. MariaDB commits each one by itself, so what a
/// process leaves half done is completed by the next.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) mariadb: &'static str,
    pub(crate) postgres: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) down: &'static str,
}

impl MigrationName for Script {
    fn name(&self) -> &str {
        self.name
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait wants the trait's own spelling"
)]
#[async_trait::async_trait]
impl MigrationTrait for Script {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = match manager.get_database_backend() {
            DbBackend::MySql => self.mariadb,
            DbBackend::Postgres => self.postgres,
            _ => self.sqlite,
        };
        manager.get_connection().execute_unprepared(sql).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(self.down)
            .await?;
        Ok(())
    }
}
