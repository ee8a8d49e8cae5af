//! The pair as tutorials write it, to run beside ours over the same faults: records without a
//! key, two sends without a transaction, an answer before the broker's, stock by reading and
//! writing, offsets committed by the clock, rows and movements under no key. Each of these is
//! usual, and works as long as nothing happens.
//!
//! The console's race is its only user.

mod orders;
mod reader;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use shared::contract::OrderId;
use shared::kafka::KafkaSettings;

use self::orders::Orders;
use self::reader::{Reader, Work};

const ORDERS: &str = "naive_orders";
const DELTAS: &str = "naive_deltas";

/// The topics it has to itself.
pub const NAIVE_TOPICS: [&str; 2] = [ORDERS, DELTAS];

/// Two order-services, two catalog-services and a sink; what is killed is none.
pub(crate) struct Naive {
    ground: Ground,
    orders: [Mutex<Option<Orders>>; 2],
    readers: Mutex<[Option<Reader>; 3]>,
}

/// What its parts stand on.
#[derive(Clone)]
struct Ground {
    /// Tells its records from those of another run.
    run: String,
    kafka: KafkaSettings,
    database: DatabaseConnection,
    /// Units that a catalog-service has granted, by order: an order that is granted twice still
    /// gets them once. A measurement, no part of it.
    granted: Arc<Mutex<HashMap<String, i64>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Orders,
    Catalog,
    Sink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) rows: i64,
    pub(crate) orders: i64,
    pub(crate) granted: i64,
    pub(crate) stock: i64,
}

/// In the order of their places among the readers.
const READERS: [Work; 3] = [Work::Catalog, Work::Catalog, Work::Sink];

impl Naive {
    /// With its tables made anew.
    pub(crate) async fn start(
        kafka: KafkaSettings,
        database: DatabaseConnection,
        stock: i64,
    ) -> anyhow::Result<Self> {
        for statement in [
            "DROP TABLE IF EXISTS naive_orders",
            "DROP TABLE IF EXISTS naive_stock",
            "CREATE TABLE naive_orders (id VARCHAR(36), qty BIGINT)",
            "CREATE TABLE naive_stock (qty BIGINT)",
            &format!("INSERT INTO naive_stock VALUES ({stock})"),
        ] {
            database.execute_unprepared(statement).await?;
        }
        let ground = Ground {
            run: OrderId::random().to_string(),
            kafka,
            database,
            granted: Arc::default(),
        };
        let orders = || Orders::start(&ground).map(Some).map(Mutex::new);
        let reader = |work| Reader::start(&ground, work).map(Some);
        Ok(Self {
            orders: [orders()?, orders()?],
            readers: Mutex::new([
                reader(READERS[0])?,
                reader(READERS[1])?,
                reader(READERS[2])?,
            ]),
            ground,
        })
    }

    /// Whether every reader has its share: a group takes a while to form.
    pub(crate) fn is_ready(&self) -> bool {
        let readers = self.readers.lock();
        readers.iter().flatten().all(Reader::is_assigned)
    }

    /// On either instance; `None` if nobody listens there.
    pub(crate) fn place(&self, instance: usize, qty: i64) -> Option<String> {
        let orders = self.orders[instance % 2].lock();
        Some(orders.as_ref()?.place(qty))
    }

    /// Of two, one.
    pub(crate) fn kill(&self, victim: Victim) {
        match victim {
            Victim::Orders => {
                if let Some(orders) = self.orders[1].lock().take() {
                    orders.kill();
                }
            }
            Victim::Catalog => self.readers.lock()[0] = None,
            Victim::Sink => self.readers.lock()[2] = None,
        }
    }

    pub(crate) fn start_again(&self, victim: Victim) -> anyhow::Result<()> {
        match victim {
            Victim::Orders => *self.orders[1].lock() = Some(Orders::start(&self.ground)?),
            Victim::Catalog => self.start_reader(0)?,
            Victim::Sink => self.start_reader(2)?,
        }
        Ok(())
    }

    fn start_reader(&self, at: usize) -> anyhow::Result<()> {
        self.readers.lock()[at] = Some(Reader::start(&self.ground, READERS[at])?);
        Ok(())
    }

    pub(crate) async fn count(&self) -> Result<Counts, DbErr> {
        let database = &self.ground.database;
        let sql = "SELECT COUNT(*) AS found, COUNT(DISTINCT id) AS orders, \
                   (SELECT qty FROM naive_stock) AS stock FROM naive_orders";
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let row = database.query_one_raw(statement).await?;
        let count = |name: &str| row.as_ref().map_or(Ok(0), |row| row.try_get("", name));
        Ok(Counts {
            rows: count("found")?,
            orders: count("orders")?,
            granted: self.ground.granted.lock().values().sum(),
            stock: count("stock")?,
        })
    }
}
