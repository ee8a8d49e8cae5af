//! From an order's 201 until its rows are in the orders database, decided: at half of what the
//! pair takes, and stage by stage with one order at a time.

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
    let rate = median(most) / 2.0;
    let mut measured = Measured::default();
    for round in 1..=arguments.rounds {
        let mut alone = way.alone().await?;
        let mut half = way
            .paced(rate, arguments.orders, &mut measured.cost)
            .await?;
        let (idle, busy) = (
            alone.whole.percentile_ms(50),
            half.visible.percentile_ms(99),
        );
        eprintln!(
            "end to end, round {round} of {}: {idle:.0} ms alone, p99 {busy:.0} ms at {rate:.0}/s",
            arguments.rounds
        );
        measured.rounds.push([idle, busy]);
        measured.alone.add(alone);
        measured.half.add(half);
    }
    world.stop().await?;
    Ok(measured.findings(rate))
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

/// At half of what the pair takes: until the 201, and from there to the rows.
#[derive(Default)]
struct Half {
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

    /// Orders per second that are accepted while all of the pair works at them.
    async fn at_most(&mut self, orders: usize) -> anyhow::Result<f64> {
        let run = load::run(self.service, orders, CONNECTIONS).await?;
        self.placed += orders;
        self.is_idle().await?;
        Ok(run.rate())
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

    async fn paced(&mut self, rate: f64, orders: usize, cost: &mut Cost) -> anyhow::Result<Half> {
        let run = paced::run(self.service, &self.orders, rate, orders);
        let half = cost.of(&self.observed, orders, run).await?;
        self.placed += orders;
        self.is_idle().await?;
        Ok(half)
    }

    /// Waits until everything placed is written.
    async fn is_idle(&self) -> anyhow::Result<()> {
        let expected = u64::try_from(2 * self.placed)?;
        let all = async || {
            let rows = self.world.orders_database.count_rows().await?;
            Ok((rows >= expected).then_some(()))
        };
        backlog::until("everything is written", backlog::LOOK_EVERY, all).await
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

impl Half {
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
    half: Half,
    cost: Cost,
}

impl Measured {
    fn findings(mut self, rate: f64) -> Findings {
        let title = format!(
            "From an order to its rows, median of {} rounds; half load is {rate:.0} orders/s",
            self.rounds.len()
        );
        let mut table = Table::new(&title, &["", "p50", "p99"]);
        let (alone, half) = (&mut self.alone, &mut self.half);
        for (stage, run) in [
            ("one order at a time: POST to 201", &mut alone.post),
            ("one order at a time: 201 to decided", &mut alone.applied),
            ("one order at a time: decided to rows", &mut alone.written),
            ("one order at a time: sum", &mut alone.whole),
            ("half load: POST to 201", &mut half.post),
            ("half load: 201 to rows, decided", &mut half.visible),
        ] {
            let row: [Cell; 3] = [
                stage.into(),
                figure(run.percentile_ms(50), " ms"),
                figure(run.percentile_ms(99), " ms"),
            ];
            table.row(row);
        }
        let reached = Reached {
            path: "201 to rows, p99 at half load".to_owned(),
            figure: figure(median_of(&self.rounds, |[_, busy]| busy), " ms"),
            limit: figure(median_of(&self.rounds, |[idle, _]| idle), " ms"),
            limited_by: "sum of the idle stages, p50",
            ratio: median_of(&self.rounds, |[idle, busy]| busy / idle),
            goal: "≤ 3",
        };
        Findings {
            tables: vec![table],
            plots: vec![self.plot(title)],
            reached: vec![reached],
            costs: self.cost.rows("all of it at half load"),
        }
    }

    fn plot(&mut self, title: String) -> Plot {
        let line = |name, run: &mut Run| {
            let points = (1..100).map(|percent| (run.percentile_ms(percent), count(percent)));
            Line::new(name, points.collect())
        };
        Plot {
            name: "latency".to_owned(),
            title,
            x: Axis::log("ms"),
            y: Axis::linear("% of orders"),
            lines: vec![
                line(
                    "one order at a time, from POST to rows",
                    &mut self.alone.whole,
                ),
                line("half load, from 201 to rows", &mut self.half.visible),
            ],
        }
    }
}
