//! One topic of orders into MariaDB: bare upserts, connect-worker, Kafka Connect.

mod connector;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::Kafka;
use migrations::Database;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};

use crate::footprint::{Cost, server};
use crate::measure::{count, median_of};
use crate::report::{Cell, Findings, Plot, Reached, Table, figure};
use crate::warm_up::until_quiet;
use crate::{Arguments, rows};

/// The records, in runs of `POST /orders`.
const RUNS: usize = 10;
const TOPIC: &str = "bench_sink_orders";
const DATABASE: &str = "test_bench_sink";
const PARTITIONS: usize = 6;
/// Orders in a row on one partition: all of a transaction go to one.
const TRANSACTION: usize = 100;
/// As connect-worker's batches.
const BATCH: usize = 4_096;
/// In the order of their turns.
const WRITERS: [&str; 5] = [
    "bare upserts, one connection",
    "connect-worker, tasks.max 1",
    "Kafka Connect, tasks.max 1",
    "connect-worker, tasks.max 2",
    "Kafka Connect, tasks.max 2",
];
/// Where connect-worker is among them, with its tasks; Kafka Connect with as many is the next.
const WORKERS: [(usize, usize); 2] = [(1, 1), (3, 2)];

/// The topic, and where its rows are to go.
struct Place {
    kafka: String,
    db: DatabaseConnection,
    records: usize,
    /// Each partition's last order, quoted for SQL.
    last: String,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Findings> {
    let place = Place::new(arguments.orders * RUNS).await?;
    let mut costs: [Cost; 5] = Default::default();
    let mut measured = Vec::new();
    let round = async || place.round(&mut Default::default()).await.map(drop);
    until_quiet(server("connect")?, round).await?;
    for round in 1..=arguments.rounds {
        let rates = place.round(&mut costs).await?;
        let said = rates.map(|rate| format!("{rate:.0}/s"));
        eprintln!("sink, round {round} of {}: {said:?}", arguments.rounds);
        measured.push(rates);
    }
    let findings = findings(place.records, &measured, &costs);
    rows::drop_database(place.db, DATABASE).await?;
    Kafka::at(&place.kafka).delete_topics(&[TOPIC]).await?;
    Ok(findings)
}

impl Place {
    async fn new(records: usize) -> anyhow::Result<Self> {
        let servers = std::env::var("STACK_KAFKA").context("run it as `cargo xtask bench`")?;
        let kafka = Kafka::at(&servers);
        kafka.delete_topics(&[TOPIC]).await?;
        kafka
            .create_topic(TOPIC, i32::try_from(PARTITIONS)?)
            .await?;
        eprintln!("sink: {records} orders into a topic");
        let to = servers.clone();
        let last = tokio::task::spawn_blocking(move || fill(&to, records)).await??;
        Ok(Self {
            kafka: servers,
            db: rows::database(DATABASE, Database::Orders).await?,
            records,
            last,
        })
    }

    /// Rows per second of each writer; what else it takes is added to the costs.
    async fn round(&self, costs: &mut [Cost; 5]) -> anyhow::Result<[f64; 5]> {
        let mut rates = [0.0; 5];
        rates[0] = self.bare().await?;
        for (worker, tasks) in WORKERS {
            self.empty().await?;
            rates[worker] = self.worker(tasks, &mut costs[worker]).await?;
            self.empty().await?;
            rates[worker + 1] = self.connect(tasks, &mut costs[worker + 1]).await?;
        }
        Ok(rates)
    }

    /// The limit: one connection, a transaction per statement, rows that are there already.
    async fn bare(&self) -> anyhow::Result<f64> {
        self.empty().await?;
        let orders = (0..self.records).map(rows::order);
        let orders: Vec<_> = orders.collect::<Result<_, _>>()?;
        let begun = Instant::now();
        for part in orders.chunks(BATCH) {
            let transaction = self.db.begin().await?;
            transaction.execute_raw(rows::upsert_orders(part)).await?;
            transaction.commit().await?;
        }
        Ok(count(self.records) / begun.elapsed().as_secs_f64())
    }

    async fn empty(&self) -> anyhow::Result<()> {
        self.db.execute_unprepared("TRUNCATE TABLE orders").await?;
        Ok(())
    }

    /// Of these orders. Cheap while there are few, so it is asked for all only at the first.
    async fn count(&self, these: &str) -> anyhow::Result<usize> {
        let sql = format!("SELECT COUNT(*) FROM orders {these}");
        let statement = Statement::from_string(DbBackend::MySql, sql);
        let row = self.db.query_one_raw(statement).await?.context("a count")?;
        Ok(usize::try_from(row.try_get_by_index::<i64>(0)?)?)
    }
}

/// Returns the last order of each partition.
fn fill(kafka: &str, records: usize) -> anyhow::Result<String> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("linger.ms", "50")
        .create()?;
    let mut last = vec![String::new(); PARTITIONS];
    for number in 0..records {
        let order = rows::order(number)?;
        let partition = number / TRANSACTION % PARTITIONS;
        let (key, payload) = (order.id.to_string(), order.encode());
        let mut record = BaseRecord::to(TOPIC)
            .partition(i32::try_from(partition)?)
            .key(&key)
            .payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            ensure!(is_full, "{error}");
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
        last[partition] = format!("'{key}'");
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(last.join(", "))
}

fn findings(records: usize, measured: &[[f64; 5]], costs: &[Cost; 5]) -> Findings {
    let title = format!(
        "{records} orders of a topic into MariaDB, median of {} rounds",
        measured.len()
    );
    let rate = |place: usize| median_of(measured, |rates| rates[place]);
    let ratio = |place: usize, to: usize| median_of(measured, |rates| rates[place] / rates[to]);
    let mut table = Table::new(
        &title,
        &["writer", "rate", "ratio to bare", "ratio to Connect"],
    );
    let mut findings = Findings {
        plots: vec![Plot::by_round(&title, "rows/s", WRITERS, measured)],
        ..Findings::default()
    };
    for (place, writer) in WRITERS.into_iter().enumerate() {
        let connect = WORKERS.iter().find(|(worker, _)| *worker == place);
        let to_connect = connect.map_or(Cell::from(""), |_| figure(ratio(place, place + 1), ""));
        let to_bare = figure(ratio(place, 0), "");
        table.row([
            writer.into(),
            figure(rate(place), "/s"),
            to_bare,
            to_connect,
        ]);
        findings.costs.extend(costs[place].rows(writer));
    }
    findings.tables.push(table);
    for (worker, tasks) in WORKERS {
        for (limit, limited_by, goal) in [
            (0, "bare upserts", "≥ 0.7"),
            (worker + 1, "Kafka Connect", "≥ 5"),
        ] {
            findings.reached.push(Reached {
                path: format!("sink: rows written, tasks.max {tasks}"),
                figure: figure(rate(worker), "/s"),
                limit: figure(rate(limit), "/s"),
                limited_by,
                ratio: ratio(worker, limit),
                goal,
            });
        }
    }
    findings
}
