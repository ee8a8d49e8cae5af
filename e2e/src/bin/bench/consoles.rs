//! What the console costs the pair: the same load without one, with one that nobody looks at, one
//! that is open in one browser, and one that is open in many, in turn.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Http, Kind, Process, World};
use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use crate::footprint::{Cost, Observed};
use crate::measure::{count, median_of};
use crate::report::{self, Table, figure};
use crate::{backlog, load};

/// Until the first events are through.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Pages that are open at a time.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pages: usize,
    /// Orders in each run.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    orders: usize,
    /// Runs of each kind, in turn; the median counts.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Connections that place orders.
    #[arg(long, value_name = "N", default_value_t = 128)]
    connections: usize,
}

pub(crate) async fn run(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    let (process, console) = world.console()?;
    let mut pair = Pair::of(&world, arguments)?;
    let mut costs: [Cost; 4] = Default::default();
    let mut rounds = Vec::new();
    for round in 1..=arguments.rounds {
        process.kill()?;
        let without = pair.load(&mut costs[0], None).await?;
        process.start_again()?;
        process.complete(&console).await?;
        let mut rates = [without; 4];
        for (place, pages) in [0, 1, arguments.pages].into_iter().enumerate() {
            let pages = open(&console, pages).await?;
            let cost = &mut costs[place + 1];
            rates[place + 1] = pair.load(cost, Some(&process)).await?;
            drop(pages);
        }
        eprintln!(
            "round {round} of {}: orders/s {rates:.0?}",
            arguments.rounds
        );
        rounds.push(rates);
    }
    let tables = tables(arguments, &rounds, &costs);
    report::save(into, "consoles", &tables, &[])?;
    world.stop().await
}

fn tables(arguments: &Arguments, rounds: &[[f64; 4]], costs: &[Cost; 4]) -> [Table; 2] {
    let title = format!(
        "The pair beside a console, median of {} rounds",
        arguments.rounds
    );
    let columns = ["", "placed, decided and written", "against no console"];
    let mut speed = Table::new(title, &columns);
    let title = "What everything takes beside a console";
    let mut cost = Table::new(
        title,
        &["", "process", "CPU per 1,000 orders", "peak memory"],
    );
    let names = [
        "no console",
        "a console, no page",
        "a console, 1 page",
        &format!("a console, {} pages", arguments.pages),
    ];
    for (place, name) in names.into_iter().enumerate() {
        speed.row([
            name.into(),
            figure(median_of(rounds, |rates| rates[place]), "/s"),
            figure(median_of(rounds, |rates| rates[place] / rates[0]), ""),
        ]);
        for row in costs[place].rows(name) {
            cost.row(row);
        }
    }
    [speed, cost]
}

struct Pair<'a> {
    world: &'a World,
    address: SocketAddr,
    arguments: &'a Arguments,
    observed: [Observed; 6],
    placed: u64,
}

impl<'a> Pair<'a> {
    fn of(world: &'a World, arguments: &'a Arguments) -> anyhow::Result<Self> {
        Ok(Self {
            world,
            address: crate::address(&world.orders[0])?,
            arguments,
            observed: crate::footprint::pair(world)?,
            placed: 0,
        })
    }

    /// Orders per second, until the last of them is decided and in the database.
    async fn load(&mut self, cost: &mut Cost, console: Option<&Process>) -> anyhow::Result<f64> {
        let &Arguments {
            orders,
            connections,
            ..
        } = self.arguments;
        let mut observed = self.observed.to_vec();
        if let Some(console) = console {
            observed.push(Observed {
                name: "console",
                id: console.id()?,
            });
        }
        self.placed += u64::try_from(orders)?;
        let work = async {
            let begun = Instant::now();
            load::run(self.address, orders, connections).await?;
            let written = async || Ok(self.world.orders_database.count_rows().await?);
            backlog::time_rows(2 * self.placed, written).await?;
            Ok(count(orders) / begun.elapsed().as_secs_f64())
        };
        cost.of(&observed, orders, work).await
    }
}

/// Browsers, as far as a server sees them: they read what comes. Dropped, they are closed.
async fn open(console: &Http, pages: usize) -> anyhow::Result<JoinSet<()>> {
    let streams = (0..pages).map(async |_| {
        let mut response = console
            .get("/api/stream")
            .send()
            .await?
            .error_for_status()?;
        let first = tokio::time::timeout(PATIENCE, response.chunk()).await??;
        first.context("the console's stream ended")?;
        anyhow::Ok(response)
    });
    let mut open = JoinSet::new();
    for mut response in try_join_all(streams).await? {
        open.spawn(async move { while let Ok(Some(_)) = response.chunk().await {} });
    }
    Ok(open)
}
