use anyhow::{Context, ensure};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, Database};

use super::Kind;
use crate::eventually::eventually;
use crate::http::{Answer, Http};
use crate::kafka::Kafka;
use crate::sink::CONNECTOR;

const TOPICS: [&str; 5] = [
    "orders",
    "catalog_deltas",
    "order_outcomes",
    "catalog_deltas.dlq",
    "orders-sink.dlq",
];
/// A sink's group is named after its connector.
const GROUPS: [&str; 2] = ["catalog-service", "connect-orders-sink"];
const DATABASES: [&str; 2] = ["orders", "catalog"];

const IS_IT_UP: &str = "is the stack up (`cargo xtask stack up`)?";

/// The servers of `cargo xtask stack up` that a world is made of.
pub(super) struct Stack {
    pub(super) kafka: String,
    /// Kafka Connect, where it is the sink.
    pub(super) connect: Option<String>,
    /// A database server, as a user who may create databases.
    server: String,
}

impl Stack {
    pub(super) fn of(kind: Kind) -> anyhow::Result<Self> {
        let server = match kind {
            Kind::WorkerPostgres => variable("STACK_POSTGRES")?,
            _ => variable("STACK_MARIADB")?,
        };
        let connect = match kind {
            Kind::ConnectMariadb => Some(variable("STACK_CONNECT")?),
            _ => None,
        };
        Ok(Self {
            kafka: broker()?,
            connect,
            server,
        })
    }

    pub(super) fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.server)
    }

    /// The database's address as Java spells it, without user and password.
    pub(super) fn jdbc_url(&self, name: &str) -> String {
        let (scheme, rest) = self.server.split_once("://").unwrap_or(("", &self.server));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let driver = if scheme == "postgres" {
            "postgresql"
        } else {
            "mariadb"
        };
        format!("jdbc:{driver}://{host}/{name}")
    }

    /// Takes away what earlier runs have left: connector, groups, topics, tables.
    pub(super) async fn empty(&self) -> anyhow::Result<()> {
        let kafka = Kafka::at(&self.kafka);
        kafka.ping().context(IS_IT_UP)?;
        // Another world's run may have left its connector, which would write on.
        if let Ok(url) = variable("STACK_CONNECT") {
            let connect = Http::new(&url)?;
            Answer::to(connect.get("/")).await.context(IS_IT_UP)?;
            delete_connector(&connect).await?;
        }
        kafka
            .delete_groups(&GROUPS)
            .await
            .context("an earlier run is not over")?;
        kafka.delete_topics(&TOPICS).await?;
        self.empty_databases()
            .await
            .context("the databases cannot be made anew")
    }

    /// Privileges survive: MariaDB grants by the database's name, PostgreSQL's user owns it.
    async fn empty_databases(&self) -> anyhow::Result<()> {
        let server = Database::connect(&self.server).await?;
        let force = if self.server.starts_with("postgres") {
            "WITH (FORCE)"
        } else {
            ""
        };
        for name in DATABASES {
            server
                .execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} {force}"))
                .await?;
            server
                .execute_unprepared(&format!("CREATE DATABASE {name}"))
                .await?;
        }
        Ok(server.close().await?)
    }
}

async fn delete_connector(connect: &Http) -> anyhow::Result<()> {
    let path = format!("/connectors/{CONNECTOR}");
    // 409 while Connect rebalances; gone only when the status is gone as well.
    eventually("the connector is deleted", async || {
        let deleted = Answer::to(connect.request(Method::DELETE, &path)).await?;
        ensure!(
            deleted.status == StatusCode::NOT_FOUND,
            "{}",
            deleted.status
        );
        let status = Answer::to(connect.get(&format!("{path}/status"))).await?;
        Ok((status.status == StatusCode::NOT_FOUND).then_some(()))
    })
    .await
}

/// The address of the stack's broker.
pub(super) fn broker() -> anyhow::Result<String> {
    variable("STACK_KAFKA")
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set: this world needs `cargo xtask stack up`, and `cargo xtask test` sets it")
    })
}
