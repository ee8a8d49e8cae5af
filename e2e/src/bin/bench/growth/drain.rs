//! Readers that work off what was left for them.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::{Answer, Http, Process, Signal, World};

use crate::STOP_WITHIN;
use crate::footprint::memory_mib;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A service that reads records, and counts those it has taken care of since its start.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    process: &'a Process,
    http: &'a Http,
    counter: &'static str,
}

/// How far readers are, some time after their start.
pub(crate) struct Look {
    pub(crate) after: Duration,
    pub(crate) records: f64,
    pub(crate) memory_mib: f64,
}

impl Look {
    /// Records per second from here to there.
    pub(crate) fn rate_until(&self, later: &Self) -> f64 {
        (later.records - self.records) / (later.after - self.after).as_secs_f64()
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn catalog(world: &'a World) -> anyhow::Result<Self> {
        Ok(Self::of_catalog(
            world.process("catalog-service")?,
            &world.catalog,
        ))
    }

    pub(crate) fn of_catalog(process: &'a Process, http: &'a Http) -> Self {
        Self {
            process,
            http,
            counter: "catalog_deltas_total",
        }
    }

    pub(crate) fn sink(world: &'a World) -> anyhow::Result<Self> {
        Ok(Self {
            process: world.sink.process.as_ref().context("connect-worker")?,
            http: &world.sink.http,
            counter: "connect_worker_sink_records_total",
        })
    }

    /// It leaves its group, so that its next start need not wait for the end of its session.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let stopped = self.process.stop(Signal::Terminate, STOP_WITHIN).await;
        stopped.map(drop)
    }

    /// How many it has taken care of; none until it listens.
    async fn done(self) -> f64 {
        let metrics = Answer::to(self.http.get("/metrics")).await;
        let metrics = metrics.map_or(String::new(), |answer| answer.text());
        let series = metrics
            .lines()
            .filter(|line| line.starts_with(self.counter));
        let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    fn memory_mib(self) -> anyhow::Result<f64> {
        ensure!(self.process.is_running()?, "{} ended", self.process.name());
        let memory = memory_mib(self.process.id()?, "VmRSS:")?;
        Ok(f64::from(u32::try_from(memory)?))
    }
}

/// Starts readers of one group, and looks at them until they have taken care of so many records.
pub(crate) async fn drain(readers: &[Reader<'_>], records: f64) -> anyhow::Result<Vec<Look>> {
    for reader in readers {
        reader.process.start_again()?;
    }
    let begun = Instant::now();
    let mut looks: Vec<Look> = Vec::new();
    while looks.last().is_none_or(|look| look.records < records) {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut look = Look {
            after: begun.elapsed(),
            records: 0.0,
            memory_mib: 0.0,
        };
        for reader in readers {
            look.records += reader.done().await;
            look.memory_mib += reader.memory_mib()?;
        }
        looks.push(look);
    }
    Ok(looks)
}

/// Records per second, between the first and the last that were seen.
pub(crate) fn rate(looks: &[Look]) -> f64 {
    let first = looks.iter().find(|look| look.records > 0.0);
    let ends = first.zip(looks.last());
    ends.map_or(f64::NAN, |(first, last)| first.rate_until(last))
}
