//! The whole pair in one of the places it runs in.

mod compose;
mod embedded;
mod real;
mod stack;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::catalog_service::CatalogService;
use crate::compose::Compose;
use crate::database::{CatalogDatabase, OrdersDatabase};
use crate::http::Http;
use crate::kafka::Kafka;
use crate::order_service::{OrderService, PlaceOrder};
use crate::place;
use crate::process::{Process, Signal};
use crate::sink::Sink;

/// A stop answers what is in flight and commits offsets; it does not wait for traffic.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Ids from here on are the tests' own; the demo's products are below.
const FIRST_ID: i64 = 1_000;

/// Broker, sink and databases of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `demo`: one process, a broker in memory, SQLite.
    Embedded,
    /// Kafka, Kafka Connect with Debezium's sink, MariaDB.
    ConnectMariadb,
    /// Kafka, connect-worker, MariaDB.
    WorkerMariadb,
    /// Kafka, connect-worker, PostgreSQL.
    WorkerPostgres,
    /// The containers of docker-compose.yml.
    Compose,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Embedded,
        Self::ConnectMariadb,
        Self::WorkerMariadb,
        Self::WorkerPostgres,
        Self::Compose,
    ];

    /// From `PAIR_WORLD`, the embedded one if it is not set.
    pub fn from_env() -> anyhow::Result<Self> {
        match std::env::var("PAIR_WORLD") {
            Ok(name) => name.parse(),
            Err(_) => Ok(Self::Embedded),
        }
    }

    /// Whether the broker is a real Kafka and every service a process of ours.
    pub fn is_real(self) -> bool {
        !matches!(self, Self::Embedded | Self::Compose)
    }

    /// The right to use what another run cannot use at the same time: the stack's broker, whichever
    /// checkout the runs are of, or the embedded world's folder.
    async fn lock(self) -> anyhow::Result<File> {
        let path = match self {
            Self::Embedded => place::home()?.join("embedded.lock"),
            Self::Compose => std::env::temp_dir().join("pair-in-compose.lock"),
            _ => {
                let broker = stack::broker()?.replace(':', "-");
                std::env::temp_dir().join(format!("pair-on-{broker}.lock"))
            }
        };
        place::lock(&path).await
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::ConnectMariadb => "connect-mariadb",
            Self::WorkerMariadb => "worker-mariadb",
            Self::WorkerPostgres => "worker-postgres",
            Self::Compose => "compose",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.with_context(|| {
            format!(
                "PAIR_WORLD={name}: it is one of {}",
                Self::ALL.map(Self::as_str).join(", ")
            )
        })
    }
}

/// The running pair, with clients for all that can be seen of it.
pub struct World {
    pub kind: Kind,
    pub orders: [OrderService; 2],
    pub catalog: CatalogService,
    pub kafka: Kafka,
    pub orders_database: OrdersDatabase,
    pub catalog_database: CatalogDatabase,
    pub sink: Sink,
    processes: Vec<Process>,
    compose: Option<Compose>,
    logs: PathBuf,
    /// Keeps other runs off the stack, or out of the embedded world's folder. Declared behind
    /// the processes: they end first.
    _lock: File,
    next_id: AtomicI64,
}

impl World {
    /// Starts it from nothing, and waits until every service is complete.
    pub async fn start(kind: Kind) -> anyhow::Result<Self> {
        let lock = kind.lock().await?;
        let logs = place::log_folder(kind.as_str())?;
        let world = match kind {
            Kind::Embedded => embedded::start(logs.clone(), lock).await,
            Kind::Compose => compose::start(logs.clone(), lock).await,
            _ => real::start(kind, logs.clone(), lock).await,
        };
        world.with_context(|| format!("world {kind} does not start; logs: {}", logs.display()))
    }

    /// Asks every process to stop; each must do so soon and without an error.
    pub async fn stop(&self) -> anyhow::Result<()> {
        for process in self.processes.iter().chain(&self.sink.process) {
            if process.is_running()? {
                let status = process.stop(Signal::Terminate, STOP_WITHIN).await?;
                ensure!(status.success(), "{}: {status}", process.name());
            }
        }
        if let Some(compose) = &self.compose {
            let log = compose.run("logs --no-color --timestamps").await?;
            std::fs::write(self.logs.join("containers.log"), log)?;
            compose.down_with_volumes().await?;
        }
        Ok(())
    }

    /// What the world's containers are driven by.
    pub fn compose(&self) -> anyhow::Result<&Compose> {
        let compose = self.compose.as_ref();
        compose.with_context(|| format!("world {} has no containers", self.kind))
    }

    /// The process of a service of its own: `order-service-a`, `order-service-b`,
    /// `catalog-service`.
    pub fn process(&self, name: &str) -> anyhow::Result<&Process> {
        match self.processes.iter().find(|process| process.name() == name) {
            Some(process) => Ok(process),
            None => bail!("{name} is no process of its own in world {}", self.kind),
        }
    }

    /// Another catalog-service beside the world's, in the same group.
    pub fn another_catalog_service(
        &self,
        letter: &str,
    ) -> anyhow::Result<(Process, CatalogService)> {
        real::another_catalog_service(self.kind, letter, &self.logs)
    }

    /// Another order-service beside the world's, which are `a` and `b`.
    pub fn another_order_service(&self, letter: &str) -> anyhow::Result<(Process, OrderService)> {
        real::another_order_service(self.kind, &self.sink, letter, &self.logs)
    }

    /// A second connect-worker beside the world's, without a connector.
    pub fn second_worker(&self) -> anyhow::Result<(Process, Http)> {
        real::second_worker(self.kind, &self.logs)
    }

    /// A console beside the world, which looks at all of it.
    pub fn console(&self) -> anyhow::Result<(Process, Http)> {
        let orders = self.orders.each_ref().map(|service| service.base());
        real::console(
            self.kind,
            orders,
            self.catalog.base(),
            &self.sink,
            &self.logs,
        )
    }

    /// `verify` of this world, which is not the embedded one.
    pub fn verify(&self) -> anyhow::Result<Command> {
        real::verify(self.kind)
    }

    /// Where the processes log.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// A number that no other test uses: an id of a user, a product, part of a key.
    pub fn unique(&self) -> i64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A product of the caller's own.
    pub async fn new_product(&self, qty: i64) -> anyhow::Result<i64> {
        let id = self.unique();
        self.catalog
            .put_product(id, &format!("Product {id}"), qty)
            .await?
            .expect(201)?;
        Ok(id)
    }

    /// An order by a user of the caller's own.
    pub fn new_order(&self, product_id: i64, qty: i32) -> PlaceOrder {
        PlaceOrder {
            user_id: self.unique(),
            product_id,
            qty,
            unit_price: 1_200,
        }
    }
}
