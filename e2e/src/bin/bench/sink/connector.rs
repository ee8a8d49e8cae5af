use std::net::SocketAddr;

use anyhow::{Context, ensure};
use e2e::{Answer, Http, Process, binary, eventually, free_address, log_folder};
use reqwest::Method;
use serde_json::{Value, json};
use shared::contract::OrderId;

use super::{DATABASE, Place, TOPIC};
use crate::backlog::LOOK_OFTEN;
use crate::footprint::{Cost, Observed, load, server};
use crate::{backlog, rows};

impl Place {
    /// Rows per second by a connect-worker that starts anew.
    pub(super) async fn worker(&self, tasks: usize, cost: &mut Cost) -> anyhow::Result<f64> {
        let address: SocketAddr = free_address()?;
        let mut command = binary("connect-worker")?;
        command
            .env("CONNECT_WORKER__HTTP__BIND", address.to_string())
            .env("CONNECT_WORKER__KAFKA__BOOTSTRAP_SERVERS", &self.kafka)
            // It knows of no other connector.
            .env("CONNECT_WORKER__STORE__CONFIGS_TOPIC", "");
        let process = Process::start("connect-worker", command, &log_folder("bench-sink")?)?;
        let worker = Observed {
            name: "connect-worker",
            id: process.id()?,
        };
        let http = Http::new(&format!("http://{address}"))?;
        self.run(&http, worker, tasks, cost).await
    }

    pub(super) async fn connect(&self, tasks: usize, cost: &mut Cost) -> anyhow::Result<f64> {
        let http = Http::new(&std::env::var("STACK_CONNECT").context("STACK_CONNECT")?)?;
        self.run(&http, server("connect")?, tasks, cost).await
    }

    async fn run(
        &self,
        http: &Http,
        writer: Observed,
        tasks: usize,
        cost: &mut Cost,
    ) -> anyhow::Result<f64> {
        let name = format!("bench-{}", OrderId::random());
        let connector = json!({"name": name, "config": connector(tasks)?});
        let observed = [writer, server("kafka")?, server("mariadb")?, load()];
        let writing = async {
            create(http, &connector).await?;
            self.rate().await
        };
        let rate = cost.of(&observed, self.records, writing).await?;
        Answer::to(http.request(Method::DELETE, &format!("/connectors/{name}")))
            .await?
            .expect(204)?;
        Ok(rate)
    }

    async fn rate(&self) -> anyhow::Result<f64> {
        let written = async || self.count("").await;
        let last = format!("WHERE id IN ({})", self.last);
        let is_done = async || Ok(self.count(&last).await? == super::PARTITIONS);
        let rate = backlog::rate(self.records, LOOK_OFTEN, written, is_done).await?;
        let rows = self.count("").await?;
        ensure!(rows == self.records, "the last are there, but only {rows}");
        Ok(rate)
    }
}

/// Until it listens, and while Connect rebalances, it refuses.
async fn create(http: &Http, connector: &Value) -> anyhow::Result<()> {
    eventually("the connector is created", async || {
        Answer::to(http.post("/connectors").json(connector))
            .await?
            .expect(201)
            .map(|_| Some(()))
    })
    .await
}

/// `connectors/orders-sink.json` on this topic and this database.
fn connector(tasks: usize) -> anyhow::Result<Value> {
    let server = rows::server()?;
    let host = server.rsplit_once('@').map_or("", |(_, host)| host);
    Ok(json!({
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": tasks.to_string(),
        "topics": TOPIC,
        "connection.url": format!("jdbc:mariadb://{host}/{DATABASE}"),
        "connection.username": "test",
        "connection.password": "test",
        "collection.name.format": "orders",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "id",
        "schema.evolution": "none",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.strict": "true",
        "consumer.override.isolation.level": "read_committed",
        "consumer.override.auto.offset.reset": "earliest",
    }))
}
