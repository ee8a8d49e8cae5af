//! What the console costs the pair: the same load without one, with one that nobody looks at, one
//! that is open in one browser, and one that is open in many, in turn.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Http, Kind, Process, World};
use futures_util::future::try_join_all;
use reqwest::Response;
use serde_json::Value;
use shared::contract::OrderId;
use tokio::task::JoinSet;

use crate::footprint::{Cost, Observed};
use crate::measure::{count, interval_of, median_of};
use crate::report::{self, Cell, Table, figure};
use crate::{backlog, load};

/// Until the first events are through.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than a page is open.
const LONGEST: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Pages that are open at a time.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pages: usize,
    /// Orders in each run.
    #[arg(long, value_name = "N", default_value_t = 6_000)]
    orders: usize,
    /// Runs of each kind, in turn; the median counts. Many short ones tell more than a few long ones.
    #[arg(long, value_name = "N", default_value_t = 24)]
    rounds: usize,
    /// Connections that place orders.
    #[arg(long, value_name = "N", default_value_t = 128)]
    connections: usize,
}

pub(crate) async fn run(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    let pair = Pair::of(&world, arguments)?;
    // All of it gets faster at first.
    pair.load(&mut Cost::default()).await?;
    let console = Console::of(&world)?;
    let kinds = [None, Some(0), Some(1), Some(arguments.pages)];
    let mut costs: [Cost; 4] = Default::default();
    let mut rounds = Vec::new();
    for round in 0..arguments.rounds {
        let mut rates = [0.0; 4];
        for turn in 0..kinds.len() {
            // Each of them comes first in its turn.
            let place = (round + turn) % kinds.len();
            let cost = &mut costs[place];
            rates[place] = match kinds[place] {
                None => pair.load(cost).await?,
                Some(pages) => console.beside(&pair, cost, pages).await?,
            };
        }
        eprintln!(
            "round {} of {}: orders/s {rates:.0?}",
            round + 1,
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
    let columns = [
        "",
        "placed, decided and written",
        "against no console",
        "95 %",
        "against no page",
        "95 %",
    ];
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
        let against = |other: usize| -> [Cell; 2] {
            let ratio = |rates: [f64; 4]| rates[place] / rates[other];
            let [from, to] = interval_of(rounds, ratio);
            let interval = format!("{from:.2} to {to:.2}");
            [figure(median_of(rounds, ratio), ""), interval.into()]
        };
        let rate = figure(median_of(rounds, |rates| rates[place]), "/s");
        let cells = [name.into(), rate].into_iter();
        speed.row(cells.chain(against(0)).chain(against(1)));
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
}

impl<'a> Pair<'a> {
    fn of(world: &'a World, arguments: &'a Arguments) -> anyhow::Result<Self> {
        Ok(Self {
            world,
            address: crate::address(&world.orders[0])?,
            arguments,
            observed: crate::footprint::pair(world)?,
        })
    }

    async fn load(&self, cost: &mut Cost) -> anyhow::Result<f64> {
        let orders = self.arguments.orders;
        cost.of(&self.observed, orders, self.place(orders)).await
    }

    /// Orders per second, until the last of them is decided and in the database.
    async fn place(&self, orders: usize) -> anyhow::Result<f64> {
        let first = OrderId::random();
        // In one millisecond ids have no order.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let begun = Instant::now();
        load::run(self.address, orders, self.arguments.connections.min(orders)).await?;
        let rows = 2 * u64::try_from(orders)?;
        let all = async || {
            let written = self.world.orders_database.count_rows_after(first).await?;
            Ok((written >= rows).then_some(()))
        };
        backlog::until("every order is written", LOOK_EVERY, all).await?;
        Ok(count(orders) / begun.elapsed().as_secs_f64())
    }
}

struct Console {
    process: Process,
    http: Http,
}

impl Console {
    /// It does not run yet.
    fn of(world: &World) -> anyhow::Result<Self> {
        let (process, http) = world.console()?;
        process.kill()?;
        Ok(Self { process, http })
    }

    /// What the pair does with so many pages open. What a console puts off it takes nevertheless,
    /// so the cost is that until it has proved every order.
    async fn beside(&self, pair: &Pair<'_>, cost: &mut Cost, pages: usize) -> anyhow::Result<f64> {
        self.process.start_again()?;
        self.process.complete(&self.http).await?;
        let mut observed = pair.observed.to_vec();
        observed.push(Observed {
            name: "console",
            id: self.process.id()?,
        });
        let orders = pair.arguments.orders;
        let before = self.follows(pair).await?;
        let pages = open(&self.http, pages).await?;
        let work = async {
            let rate = pair.place(orders).await?;
            drop(pages);
            let all = async || Ok((proved(&self.http).await? >= before + orders).then_some(()));
            backlog::until("every order is proved", LOOK_EVERY, all).await?;
            Ok(rate)
        };
        let rate = cost.of(&observed, orders, work).await?;
        self.process.kill()?;
        Ok(rate)
    }

    /// Waits until it does: it is ready before. How many orders it has proved so far.
    async fn follows(&self, pair: &Pair<'_>) -> anyhow::Result<usize> {
        let follows = async || {
            pair.place(1).await?;
            let proved = proved(&self.http).await?;
            Ok((proved > 0).then_some(proved))
        };
        backlog::until("the console follows", LOOK_EVERY, follows).await
    }
}

/// Browsers, as far as a server sees them: they read what comes. Dropped, they are closed.
async fn open(console: &Http, pages: usize) -> anyhow::Result<JoinSet<()>> {
    let mut open = JoinSet::new();
    for (mut page, _) in try_join_all((0..pages).map(|_| page(console))).await? {
        open.spawn(async move { while let Ok(Some(_)) = page.chunk().await {} });
    }
    Ok(open)
}

/// A page's stream, and the first state on it.
async fn page(console: &Http) -> anyhow::Result<(Response, Value)> {
    let request = console.get("/api/stream").timeout(LONGEST).send();
    let mut stream = request.await?.error_for_status()?;
    let mut event = Vec::new();
    while !event.ends_with(b"\n\n") {
        let chunk = tokio::time::timeout(PATIENCE, stream.chunk()).await??;
        event.extend(chunk.context("the console's stream ended")?);
    }
    let state = event.strip_prefix(b"event: state\ndata: ");
    let state = serde_json::from_slice(state.context("no state")?)?;
    Ok((stream, state))
}

/// How many orders the console has found to be decided once.
async fn proved(console: &Http) -> anyhow::Result<usize> {
    let (_, state) = page(console).await?;
    let checked = state["proof"]["lines"][4]["checked"].as_u64();
    Ok(usize::try_from(checked.context("the console's proof")?)?)
}
