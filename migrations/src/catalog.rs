use sea_orm::DynIden;
use sea_orm::sea_query::{Alias, IntoIden as _};
use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

use crate::script::Script;

const STOCK: Script = Script {
    name: "m0001_stock",
    mariadb: include_str!("catalog/m0001_stock/mariadb.sql"),
    postgres: include_str!("catalog/m0001_stock/postgres.sql"),
    sqlite: include_str!("catalog/m0001_stock/sqlite.sql"),
    down: "DROP TABLE IF EXISTS stock_ledger; DROP TABLE IF EXISTS stock",
};

/// The migrations of the `catalog` database, oldest first.
pub struct Catalog;

#[async_trait::async_trait]
impl MigratorTrait for Catalog {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(STOCK)]
    }

    /// A name of its own lets both databases be one.
    fn migration_table_name() -> DynIden {
        Alias::new("catalog_migrations").into_iden()
    }
}
