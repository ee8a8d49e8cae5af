use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::eventually::within;
use crate::http::Http;
use crate::kafka::Kafka;
use crate::place;
use crate::process::Process;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// `demo` as a process, with the addresses that it prints.
pub struct Demo {
    pub process: Process,
    /// From its start to its word that it is ready.
    pub ready_after: Duration,
    output: String,
}

impl Demo {
    /// On ports that are free, with its databases in `data` and its log in `logs`.
    pub async fn start(data: &Path, logs: &Path) -> anyhow::Result<Self> {
        Self::start_with(data, logs, &[]).await
    }

    /// As [`Self::start`], with environment variables.
    pub async fn start_with(
        data: &Path,
        logs: &Path,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = place::binary("demo")?;
        command
            .envs(variables.iter().copied())
            .args(["--base-port", "0", "--log", "info", "--data-dir"])
            .arg(data);
        let begun = Instant::now();
        let process = Process::start("demo", command, logs)?;
        let output = within(READY_WITHIN, "the demo is ready", async || {
            let output = process.output()?;
            if let Some(status) = process.ended()? {
                bail!("it ended ({status}): {output}");
            }
            Ok(output
                .lines()
                .any(|line| line.starts_with("Ready"))
                .then_some(output))
        })
        .await?;
        Ok(Self {
            process,
            ready_after: begun.elapsed(),
            output,
        })
    }

    pub fn order_services(&self) -> anyhow::Result<[Http; 2]> {
        let found = self.printed("order-service");
        ensure!(
            found.len() == 2,
            "two order-services are printed: {}",
            self.output
        );
        Ok([Http::new(found[0])?, Http::new(found[1])?])
    }

    pub fn catalog_service(&self) -> anyhow::Result<Http> {
        Http::new(self.printed_once("catalog-service")?)
    }

    pub fn connect_worker(&self) -> anyhow::Result<Http> {
        Http::new(self.printed_once("connect-worker")?)
    }

    pub fn kafka(&self) -> anyhow::Result<Kafka> {
        Ok(Kafka::at(self.printed_once("kafka")?))
    }

    /// The commands that it tells its user to try.
    pub fn curls(&self) -> Vec<&str> {
        self.output
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("curl "))
            .collect()
    }

    fn printed_once(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.printed(name).first().copied();
        found.with_context(|| format!("no address of {name} is printed: {}", self.output))
    }

    fn printed(&self, name: &str) -> Vec<&str> {
        let words = self
            .output
            .lines()
            .map(|line| line.split_once(' ').unwrap_or((line, "")));
        words
            .filter(|(first, _)| *first == name)
            .map(|(_, address)| address.trim())
            .collect()
    }
}
