use sea_orm::DynIden;
use sea_orm::sea_query::{Alias, IntoIden as _};
use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

use crate::script::Script;

const ORDERS: Script = Script {
    name: "m0001_orders",
    mariadb: include_str!("orders/m0001_orders/mariadb.sql"),
    postgres: include_str!("orders/m0001_orders/postgres.sql"),
    sqlite: include_str!("orders/m0001_orders/sqlite.sql"),
    down: "DROP TABLE IF EXISTS order_outcomes; DROP TABLE IF EXISTS orders",
};

/// The migrations of the `orders` database, oldest first.
pub struct Orders;

#[async_trait::async_trait]
impl MigratorTrait for Orders {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(ORDERS)]
    }

    /// A name of its own lets both databases be one.
    fn migration_table_name() -> DynIden {
        Alias::new("orders_migrations").into_iden()
    }
}
