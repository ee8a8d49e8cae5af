//! From an order's 201 until its rows are in the orders database, decided: at a quarter, half and three
//! quarters of what the pair takes, and stage by stage with one order at a time.

mod paced;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Kind, World};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, Value};
use shared::contract::OrderId;
use shared::database;
use shared::settings::DatabaseSettings;

use crate::footprint::{self, Cost, Observed};
use crate::load::{self, Connection};
use crate::measure::{Run, count, median, median_of};
use crate::report::{Axis, Cell, Findings, Line, Plot, Reached, Table, figure};
use crate::{Arguments, backlog, rows};

const CONNECTIONS: usize = 128;
/// Runs that tell what the pair takes.
const RUNS: usize = 3;
/// Shares of that.
const LOADS: [(&str, f64); 3] = [("a quarter", 0.25), ("half", 0.5), ("three quarters", 0.75)];
/// Where half is among them.
const HALF: usize = 1;
/// Orders placed one at a time in each round.
const ALONE: usize = 50;
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Orders of one look; the statement has as many parameters.
const LOOKED_FOR: usize = 64;

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Findings> {
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    world.process("order-service-b")?.kill()?;
    let mut way = Way::of(&world).await?;
    let mut most = Vec::new();
    for _ in 0..RUNS {
        most.push(way.at_most(arguments.orders).await?);
    }
    let most = median(most);
    let mut measured = Measured::default();
    for round in 1..=arguments.rounds {
        let mut alone = way.alone().await?;
        let idle = alone.whole.percentile_ms(50);
        measured.alone.add(alone);
        let mut p99 = [0.0; LOADS.len()];
        for (load, (_, share)) in LOADS.into_iter().enumerate() {
            let rate = share * most;
            let cost = &mut measured.costs[load];
            let mut run = way.paced(rate, arguments.orders, cost).await?;
            p99[load] = run.visible.percentile_ms(99);
            measured.loads[load].add(run);
        }
        eprintln!(
            "end to end, round {round} of {}: {idle:.0} ms alone, p99 {p99:.0?} ms",
            arguments.rounds
        );
        measured.rounds.push([idle, p99[HALF]]);
    }
    world.stop().await?;
    Ok(measured.findings(most))
}

/// The way of an order, and who is on it.
struct Way<'a> {
    world: &'a World,
    service: SocketAddr,
    orders: DatabaseConnection,
    observed: [Observed; 6],
    placed: usize,
}

/// With one order at a time: how long each stage takes, and all together.
#[derive(Default)]
struct Alone {
    post: Run,
    applied: Run,
    written: Run,
    whole: Run,
}

/// At a share of what the pair takes: until the 201, and from there to the rows.
#[derive(Default)]
struct Paced {
    post: Run,
    visible: Run,
}

impl<'a> Way<'a> {
    async fn of(world: &'a World) -> anyhow::Result<Self> {
        let orders = DatabaseSettings::at(&format!("{}/orders", rows::server()?));
        Ok(Self {
            world,
            service: crate::address(&world.orders[0])?,
            orders: database::connect(&orders).await?,
            observed: footprint::pair(world)?,
            placed: 0,
        })
    }

    /// Orders per second, from the first request until all rows are there.
    async fn at_most(&mut self, orders: usize) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let run = load::run(self.service, orders, CONNECTIONS).await?;
        self.placed += orders;
        backlog::written(self.world, self.placed).await?;
        let rate = count(orders) / begun.elapsed().as_secs_f64();
        eprintln!(
            "end to end: {:.0}/s accepted, {rate:.0}/s written",
            run.rate()
        );
        Ok(rate)
    }

    async fn alone(&mut self) -> anyhow::Result<Alone> {
        let mut alone = Alone::default();
        let mut connection = Connection::open(self.service).await?;
        for number in 0..ALONE {
            let request = load::order(self.service, number);
            let begun = Instant::now();
            let id = id_in(connection.ask(&request, 201).await?)?;
            let accepted = Instant::now();
            let decided = async || {
                let count = self.world.catalog_database.count_reserved(&[id]).await?;
                Ok((count > 0).then(Instant::now))
            };
            let decided = backlog::until("it is decided", LOOK_EVERY, decided).await?;
            let visible = async || {
                let there = !visible(&self.orders, &[id]).await?.is_empty();
                Ok(there.then(Instant::now))
            };
            let visible = backlog::until("it is visible", LOOK_EVERY, visible).await?;
            alone.post.latencies.push(accepted - begun);
            alone.applied.latencies.push(decided - accepted);
            alone.written.latencies.push(visible - decided);
            alone.whole.latencies.push(visible - begun);
        }
        self.placed += ALONE;
        Ok(alone)
    }

    async fn paced(&mut self, rate: f64, orders: usize, cost: &mut Cost) -> anyhow::Result<Paced> {
        let run = paced::run(self.service, &self.orders, rate, orders);
        let run = cost.of(&self.observed, orders, run).await?;
        self.placed += orders;
        backlog::written(self.world, self.placed).await?;
        Ok(run)
    }
}

/// The order that an answer tells of.
fn id_in(answer: &str) -> anyhow::Result<OrderId> {
    let (_, behind) = answer.split_once(r#""id":""#).context("an order's id")?;
    let (id, _) = behind.split_once('"').context("an order's id")?;
    Ok(id.parse()?)
}

/// Those of a few orders whose row and outcome are in the database.
async fn visible(db: &DatabaseConnection, ids: &[OrderId]) -> Result<Vec<OrderId>, DbErr> {
    let parameters = ["?"; LOOKED_FOR].join(", ");
    let sql = format!(
        "SELECT orders.id FROM orders JOIN order_outcomes ON order_outcomes.order_id = orders.id \
         WHERE orders.id IN ({parameters})"
    );
    // Always as many, so that the statement is prepared once.
    let filled = (0..LOOKED_FOR).map(|place| {
        let id = ids.get(place).map(OrderId::to_string);
        Value::from(id.unwrap_or_default())
    });
    let statement = Statement::from_sql_and_values(DbBackend::MySql, sql, filled);
    let rows = db.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

impl Alone {
    fn add(&mut self, other: Self) {
        self.post.latencies.extend(other.post.latencies);
        self.applied.latencies.extend(other.applied.latencies);
        self.written.latencies.extend(other.written.latencies);
        self.whole.latencies.extend(other.whole.latencies);
    }
}

impl Paced {
    fn add(&mut self, other: Self) {
        self.post.latencies.extend(other.post.latencies);
        self.visible.latencies.extend(other.visible.latencies);
    }
}

#[derive(Default)]
struct Measured {
    /// Milliseconds: the median of the whole way alone, the p99 from 201 to rows at half load.
    rounds: Vec<[f64; 2]>,
    alone: Alone,
    loads: [Paced; LOADS.len()],
    costs: [Cost; LOADS.len()],
}

impl Measured {
    fn findings(mut self, most: f64) -> Findings {
        let rounds = self.rounds.len();
        let reached = Reached {
            path: "201 to rows, p99 at half load".to_owned(),
            figure: figure(median_of(&self.rounds, |[_, busy]| busy), " ms"),
            limit: figure(median_of(&self.rounds, |[idle, _]| idle), " ms"),
            limited_by: "sum of the idle stages, p50",
            ratio: median_of(&self.rounds, |[idle, busy]| busy / idle),
            goal: "≤ 3",
        };
        let tables = vec![
            self.stages(&format!("One order at a time, {rounds} rounds")),
            self.by_load(
                &format!("By load, {rounds} rounds; the pair takes {most:.0} orders/s"),
                most,
            ),
        ];
        Findings {
            tables,
            reached: vec![reached],
            costs: self.costs[HALF].rows("all of it at half load"),
            plots: vec![self.plot()],
        }
    }

    fn stages(&mut self, title: &str) -> Table {
        let mut table = Table::new(title, &["", "p50", "p99"]);
        let alone = &mut self.alone;
        for (stage, run) in [
            ("POST to 201", &mut alone.post),
            ("201 to decided", &mut alone.applied),
            ("decided to rows", &mut alone.written),
            ("sum", &mut alone.whole),
        ] {
            let row: [Cell; 3] = [
                stage.into(),
                figure(run.percentile_ms(50), " ms"),
                figure(run.percentile_ms(99), " ms"),
            ];
            table.row(row);
        }
        table
    }

    fn by_load(&mut self, title: &str, most: f64) -> Table {
        let columns = [
            "load",
            "orders",
            "cores in use",
            "POST to 201, p50",
            "p99",
            "201 to rows, decided, p50",
            "p99",
        ];
        let mut table = Table::new(title, &columns);
        let paced = self.loads.iter_mut().zip(&self.costs);
        for ((name, share), (paced, cost)) in LOADS.into_iter().zip(paced) {
            let row: [Cell; 7] = [
                name.into(),
                figure(share * most, "/s"),
                figure(cost.cores(), ""),
                figure(paced.post.percentile_ms(50), " ms"),
                figure(paced.post.percentile_ms(99), " ms"),
                figure(paced.visible.percentile_ms(50), " ms"),
                figure(paced.visible.percentile_ms(99), " ms"),
            ];
            table.row(row);
        }
        table
    }

    fn plot(&mut self) -> Plot {
        let line = |name: &str, run: &mut Run| {
            let points = (1..100).map(|percent| (run.percentile_ms(percent), count(percent)));
            Line::new(name, points.collect())
        };
        let alone = line("one at a time, from POST to rows", &mut self.alone.whole);
        let loads = LOADS.into_iter().zip(&mut self.loads);
        let loads = loads.map(|((name, _), paced)| {
            line(
                &format!("at {name} of what it takes, from 201 to rows"),
                &mut paced.visible,
            )
        });
        Plot {
            name: "latency".to_owned(),
            title: "From an order to its rows".to_owned(),
            x: Axis::log("ms"),
            y: Axis::linear("% of orders"),
            lines: std::iter::once(alone).chain(loads).collect(),
        }
    }
}
