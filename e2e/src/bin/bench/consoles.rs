//! What the console costs the pair: the same load without one, with one that nobody looks at, and
//! with one that is open in many browsers, in turn.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::{Http, Kind, World};
use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use crate::measure::{count, median};
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

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    let (process, console) = world.console()?;
    let mut pair = Pair::of(&world, arguments)?;
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 1..=arguments.rounds {
        process.kill()?;
        rates[0].push(pair.load().await?);
        process.start_again()?;
        process.complete(&console).await?;
        rates[1].push(pair.load().await?);
        let pages = open(&console, arguments.pages).await?;
        rates[2].push(pair.load().await?);
        ensure!(!pages.is_empty(), "no page was open");
        drop(pages);
        let last = rates
            .each_ref()
            .map(|kind| kind.last().map_or(0.0, |rate| rate.round()));
        eprintln!("round {round} of {}: orders/s {last:?}", arguments.rounds);
    }
    let against = |rates: &[f64], other: &[f64]| {
        median(
            rates
                .iter()
                .zip(other)
                .map(|(rate, other)| rate / other)
                .collect(),
        )
    };
    let [without, unseen, seen] = &rates;
    println!("| orders/s, placed, decided and written | median | against none |");
    println!("|---|---|---|");
    for (name, rates) in [
        ("no console".to_owned(), without),
        ("a console, no page".to_owned(), unseen),
        (format!("a console, {} pages", arguments.pages), seen),
    ] {
        let ratio = against(rates, without);
        println!("| {name} | {:.0}/s | {ratio:.2} |", median(rates.clone()));
    }
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
        let base = world.orders[0].base();
        Ok(Self {
            world,
            address: base.trim_start_matches("http://").parse()?,
            arguments,
            placed: 0,
        })
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
