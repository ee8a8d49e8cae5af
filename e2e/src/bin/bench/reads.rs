//! `GET /orders/{id}` and `GET /orders` through the service, against the bare queries.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use e2e::{Kind, OrderRow, World};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, QueryResult, Statement,
    Value,
};
use shared::database;
use shared::settings::DatabaseSettings;

use crate::history::History;
use crate::measure::{Run, count, median_of};
use crate::report::{Findings, Plot, Reached, Table, figure};
use crate::{Arguments, load, rows};

/// Old orders, which the service's tail knows nothing of.
const HISTORY: History = History {
    orders: 100_000,
    products: 100,
};
const CONNECTIONS: usize = 32;
/// A page is as much work as several orders.
const ORDERS_PER_PAGE: usize = 10;
/// What the order-service asks of orders by their ids, however many at a time, and of a page.
const SELECT: &str = "SELECT orders.id, orders.user_id, orders.product_id, orders.qty, \
     orders.unit_price, orders.total_price, orders.created_at, orders.idempotency_key, \
     reserved.status AS reserve_status, reserved.reason AS reserve_reason, \
     released.status AS release_status FROM orders \
     LEFT JOIN order_outcomes AS reserved ON reserved.id = CONCAT(orders.id, ':reserve') \
     LEFT JOIN order_outcomes AS released ON released.id = CONCAT(orders.id, ':release')";
const PATHS: [&str; 2] = ["GET /orders/{id}", "GET /orders, a page of 50"];

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Findings> {
    let world = World::start(Kind::WorkerMariadb).await?;
    world.process("catalog-service")?.kill()?;
    world.process("order-service-b")?.kill()?;
    world.sink.stop().await?;
    HISTORY.write().await?;
    // As many connections as the service has.
    let settings = DatabaseSettings::at(&format!("{}/orders", rows::server()?));
    let reads = Reads {
        pool: database::connect(&settings).await?,
        service: crate::address(&world.orders[0])?,
    };
    let mut measured = Measured::default();
    for round in 1..=arguments.rounds {
        let rates = reads.round(arguments.orders, &mut measured.service).await?;
        let [order, order_limit, page, page_limit] = rates;
        eprintln!(
            "reads, round {round} of {}: an order {order:.0}/s of {order_limit:.0}/s, a page \
             {page:.0}/s of {page_limit:.0}/s",
            arguments.rounds
        );
        measured.rounds.push(rates);
    }
    world.stop().await?;
    Ok(measured.findings())
}

struct Reads {
    pool: DatabaseConnection,
    service: SocketAddr,
}

impl Reads {
    /// Requests per second: of an order by the service and bare, of a page by both.
    async fn round(&self, orders: usize, service: &mut [Run; 2]) -> anyhow::Result<[f64; 4]> {
        let pages = orders.div_ceil(ORDERS_PER_PAGE);
        let order = || {
            let sql = format!("{SELECT} WHERE orders.id = ?");
            statement(&sql, any_id().into())
        };
        let page = || {
            let order = "ORDER BY orders.created_at DESC, orders.id DESC";
            statement(&format!("{SELECT} {order} LIMIT ?"), 51_u64.into())
        };
        let order_limit = self.query(orders, order).await?;
        let paths = (0..orders).map(|_| format!("/orders/{}", any_id()));
        let order = load::get(self.service, paths, CONNECTIONS).await?;
        let page_limit = self.query(pages, page).await?;
        let paths = (0..pages).map(|_| "/orders".to_owned());
        let page = load::get(self.service, paths, CONNECTIONS).await?;
        let rates = [order.rate(), order_limit, page.rate(), page_limit];
        service[0].latencies.extend(order.latencies);
        service[1].latencies.extend(page.latencies);
        Ok(rates)
    }

    /// The limit: so many queries, as many at a time as the service gets requests.
    async fn query(
        &self,
        queries: usize,
        query: impl Fn() -> Statement + Copy + Send + Sync + 'static,
    ) -> anyhow::Result<f64> {
        let begun = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let askers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (pool, begun) = (self.pool.clone(), Arc::clone(&begun));
                tokio::spawn(async move {
                    while begun.fetch_add(1, Ordering::Relaxed) < queries {
                        for row in pool.query_all_raw(query()).await? {
                            black_box(decode(&row)?);
                        }
                    }
                    Ok::<_, DbErr>(())
                })
            })
            .collect();
        for asker in askers {
            asker.await??;
        }
        Ok(count(queries) / started.elapsed().as_secs_f64())
    }
}

fn any_id() -> String {
    History::id(fastrand::u64(1..=HISTORY.orders))
}

fn statement(sql: &str, value: Value) -> Statement {
    Statement::from_sql_and_values(DbBackend::MySql, sql, [value])
}

/// As the order-service does.
fn decode(row: &QueryResult) -> Result<(OrderRow, [Option<String>; 3]), DbErr> {
    let outcome = [
        row.try_get("", "reserve_status")?,
        row.try_get("", "reserve_reason")?,
        row.try_get("", "release_status")?,
    ];
    Ok((OrderRow::from_query_result(row, "")?, outcome))
}

#[derive(Default)]
struct Measured {
    rounds: Vec<[f64; 4]>,
    /// The service's answers, of an order and of a page.
    service: [Run; 2],
}

impl Measured {
    fn findings(mut self) -> Findings {
        let title = format!(
            "Reads of {} orders over {CONNECTIONS} connections, median of {} rounds",
            HISTORY.orders,
            self.rounds.len()
        );
        let columns = ["path", "bare query", "order-service", "ratio", "p50", "p99"];
        let mut table = Table::new(&title, &columns);
        let things = [
            "an order, order-service",
            "an order, bare query",
            "a page, order-service",
            "a page, bare query",
        ];
        let mut findings = Findings {
            plots: vec![Plot::by_round(&title, "requests/s", things, &self.rounds)],
            ..Findings::default()
        };
        for (path, answers) in self.service.iter_mut().enumerate() {
            let rate = |place: usize| median_of(&self.rounds, |rates| rates[place]);
            let (service, limit) = (2 * path, 2 * path + 1);
            let ratio = median_of(&self.rounds, |rates| rates[service] / rates[limit]);
            table.row([
                PATHS[path].into(),
                figure(rate(limit), "/s"),
                figure(rate(service), "/s"),
                figure(ratio, ""),
                figure(answers.percentile_ms(50), " ms"),
                figure(answers.percentile_ms(99), " ms"),
            ]);
            findings.reached.push(Reached {
                path: PATHS[path].to_owned(),
                figure: figure(rate(service), "/s"),
                limit: figure(rate(limit), "/s"),
                limited_by: "bare query",
                ratio,
                goal: "≥ 0.7",
            });
        }
        findings.tables.push(table);
        findings
    }
}
