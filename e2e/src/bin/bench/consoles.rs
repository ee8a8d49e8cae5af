//! What the console costs the pair: the same load without one, with one that nobody looks at, one
//! that is open in one browser, and one that is open in many, in turn.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Http, Kind, World};
use futures_util::future::try_join_all;
use tokio::task::JoinSet;

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
    let mut rounds = Vec::new();
    for round in 1..=arguments.rounds {
        process.kill()?;
        let without = pair.load().await?;
        process.start_again()?;
        process.complete(&console).await?;
        let unseen = pair.load().await?;
        let seen = pair.load_with_pages(&console, 1).await?;
        let seen_by_many = pair.load_with_pages(&console, arguments.pages).await?;
        let rates = [without, unseen, seen, seen_by_many];
        eprintln!(
            "round {round} of {}: orders/s {rates:.0?}",
            arguments.rounds
        );
        rounds.push(rates);
    }
    let title = format!(
        "The pair beside a console, median of {} rounds",
        arguments.rounds
    );
    let columns = ["", "placed, decided and written", "against no console"];
    let mut table = Table::new(title, &columns);
    let names = [
        "no console",
        "a console, no page",
        "a console, 1 page",
        &format!("a console, {} pages", arguments.pages),
    ];
    for (place, name) in names.into_iter().enumerate() {
        table.row([
            name.into(),
            figure(median_of(&rounds, |rates| rates[place]), "/s"),
            figure(median_of(&rounds, |rates| rates[place] / rates[0]), ""),
        ]);
    }
    report::save(into, "consoles", &[table], &[])?;
    world.stop().await
}

struct Pair<'a> {
    world: &'a World,
    address: SocketAddr,
    arguments: &'a Arguments,
    placed: u64,
}

impl<'a> Pair<'a> {
    fn of(world: &'a World, arguments: &'a Arguments) -> anyhow::Result<Self> {
        Ok(Self {
            world,
            address: crate::address(&world.orders[0])?,
            arguments,
            placed: 0,
        })
    }

    async fn load_with_pages(&mut self, console: &Http, pages: usize) -> anyhow::Result<f64> {
        let pages = open(console, pages).await?;
        let rate = self.load().await?;
        drop(pages);
        Ok(rate)
    }

    /// Orders per second, until the last of them is decided and in the database.
    async fn load(&mut self) -> anyhow::Result<f64> {
        let &Arguments {
            orders,
            connections,
            ..
        } = self.arguments;
        let begun = Instant::now();
        load::run(self.address, orders, connections).await?;
        self.placed += u64::try_from(orders)?;
        let written = async || Ok(self.world.orders_database.count_rows().await?);
        backlog::time_rows(2 * self.placed, written).await?;
        Ok(count(orders) / begun.elapsed().as_secs_f64())
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
