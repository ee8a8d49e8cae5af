//! How soon the services are there.

use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Http, Kind, Process, Signal, World};

use crate::measure::median;
use crate::report::{Cell, Findings, Table, figure};
use crate::{Arguments, STOP_WITHIN};

const LOOK_EVERY: Duration = Duration::from_millis(2);

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Findings> {
    let world = World::start(Kind::WorkerMariadb).await?;
    let worker = world.sink.process.as_ref().context("connect-worker")?;
    let services: [(&Process, &Http); 3] = [
        (world.process("order-service-a")?, &world.orders[0]),
        (world.process("catalog-service")?, &world.catalog),
        (worker, &world.sink.http),
    ];
    let title = format!("From start to ready, median of {}", arguments.rounds);
    let mut table = Table::new(title, &["process", "start to ready"]);
    for (process, http) in services {
        let mut took = Vec::new();
        for _ in 0..arguments.rounds {
            took.push(restart(process, http).await?.as_secs_f64() * 1_000.0);
        }
        let row: [Cell; 2] = [process.name().into(), figure(median(took), " ms")];
        table.row(row);
    }
    world.stop().await?;
    Ok(Findings {
        tables: vec![table],
        ..Findings::default()
    })
}

async fn restart(process: &Process, http: &Http) -> anyhow::Result<Duration> {
    process.stop(Signal::Terminate, STOP_WITHIN).await?;
    let begun = Instant::now();
    process.start_again()?;
    // Refused until it listens, then not ready until it is.
    while http
        .readiness()
        .await
        .map_or(true, |report| report["status"] == "unready")
    {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(begun.elapsed())
}
