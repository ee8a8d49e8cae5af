use anyhow::{Context, ensure};
use serde_json::Value;

use crate::dead_letters::DeadLetters;
use crate::eventually::eventually;
use crate::http::{Answer, Http};
use crate::process::Process;

/// The connector of the pair, as `connectors/orders-sink.json` names it.
pub(crate) const CONNECTOR: &str = "orders-sink";

/// Whoever writes the orders database: Kafka Connect, or connect-worker.
pub struct Sink {
    /// Kafka Connect's REST interface, which both have.
    pub http: Http,
    /// Where it is a process of ours.
    pub process: Option<Process>,
}

impl Sink {
    /// Until [`Self::start`] no row is written: our own process is killed, another's
    /// connector paused.
    pub async fn stop(&self) -> anyhow::Result<()> {
        match &self.process {
            Some(process) => process.kill(),
            None => {
                self.ask("pause").await?;
                self.reaches("PAUSED").await
            }
        }
    }

    pub async fn start(&self) -> anyhow::Result<()> {
        match &self.process {
            Some(process) => {
                process.start_again()?;
                process.complete(&self.http).await
            }
            None => self.ask("resume").await,
        }?;
        self.reaches("RUNNING").await
    }

    /// Waits until the connector and all its tasks, one at least, are in this state.
    pub async fn reaches(&self, state: &str) -> anyhow::Result<()> {
        eventually(&format!("the connector is {state}"), async || {
            let path = format!("/connectors/{CONNECTOR}/status");
            let status: Value = Answer::to(self.http.get(&path))
                .await?
                .expect(200)?
                .json()?;
            let tasks = status["tasks"].as_array().context("tasks")?;
            let mut parts = std::iter::once(&status["connector"]).chain(tasks);
            let reached = !tasks.is_empty() && parts.all(|part| part["state"] == state);
            ensure!(reached, "{status}");
            Ok(Some(()))
        })
        .await
    }

    /// Of the records that could not be written, where the sink is connect-worker.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters {
            http: self.http.clone(),
            path: format!("/connectors/{CONNECTOR}/dead-letters"),
        }
    }

    async fn ask(&self, what: &str) -> anyhow::Result<()> {
        let path = format!("/connectors/{CONNECTOR}/{what}");
        Answer::to(self.http.put(&path)).await?.expect(202)?;
        Ok(())
    }
}
