//! One topic of orders into MariaDB: bare upserts, connect-worker, Kafka Connect.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Answer, Http, Kafka, Process, binary, eventually, free_address, log_folder};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait, Value};
use serde_json::json;
use shared::contract::{Order, OrderId, ProductId, Timestamp, UserId};
use shared::database;
use shared::settings::DatabaseSettings;

use crate::backlog::time_rows;
use crate::footprint::memory_mib;
use crate::measure::count;

const TOPIC: &str = "bench_sink_orders";
const DATABASE: &str = "test_bench_sink";
const PARTITIONS: i32 = 6;
const ROWS_PER_STATEMENT: usize = 1_000;
const TABLE: &str = include_str!("../../../../migrations/src/orders/m0001_orders/mariadb.sql");

/// The servers, and where rows are to go.
struct Place {
    kafka: String,
    server: String,
    db: DatabaseConnection,
}

#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Orders in the topic.
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    records: usize,
    /// `tasks.max` of connect-worker and Kafka Connect.
    #[arg(long, value_name = "N", default_value_t = 1)]
    tasks: usize,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let place = Place::new().await?;
    let kafka = Kafka::at(&place.kafka);
    kafka.delete_topics(&[TOPIC]).await?;
    kafka.create_topic(TOPIC, PARTITIONS).await?;
    let (servers, records) = (place.kafka.clone(), arguments.records);
    eprintln!("writing {records} orders to the topic");
    tokio::task::spawn_blocking(move || fill(&servers, records)).await??;

    println!(
        "{records} orders into MariaDB, tasks.max {}",
        arguments.tasks
    );
    println!("| writer | rate | against bare | against Connect |");
    println!("|---|---|---|---|");
    eprintln!("bare upserts");
    let bare = place.bare(records).await?;
    eprintln!("connect-worker");
    let (worker, footprint) = place.worker(arguments).await?;
    eprintln!("Kafka Connect");
    let connect = place.connect(arguments).await?;
    for (name, rate) in [
        ("bare upserts of 1,000 rows", bare),
        ("connect-worker", worker),
        ("Kafka Connect, Debezium sink", connect),
    ] {
        println!(
            "| {name} | {rate:.0}/s | {:.2} | {:.2} |",
            rate / bare,
            rate / connect
        );
    }
    println!();
    println!("{footprint}");
    place
        .db
        .execute_unprepared(&format!("DROP DATABASE {DATABASE}"))
        .await?;
    kafka.delete_topics(&[TOPIC]).await
}

fn order(number: usize) -> anyhow::Result<Order> {
    Ok(Order {
        id: OrderId::random(),
        user_id: UserId(1),
        product_id: ProductId(i64::try_from(number % crate::PRODUCTS)? + 1),
        qty: 1,
        unit_price: 100,
        total_price: 100,
        created_at: Timestamp::now(),
        idempotency_key: None,
    })
}

fn fill(kafka: &str, records: usize) -> anyhow::Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("linger.ms", "50")
        .create()?;
    for number in 0..records {
        let order = order(number)?;
        let (key, payload) = (order.id.to_string(), order.encode());
        let mut record = BaseRecord::to(TOPIC).key(&key).payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            anyhow::ensure!(
                error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull),
                "{error}"
            );
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
    }
    Ok(producer.flush(Duration::from_secs(60))?)
}

impl Place {
    async fn new() -> anyhow::Result<Self> {
        let variable = |name| std::env::var(name).context("run it as `cargo xtask bench sink`");
        let (kafka, server) = (variable("STACK_KAFKA")?, variable("STACK_MARIADB")?);
        let admin = database::connect(&DatabaseSettings::at(&server)).await?;
        let anew = format!("DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}");
        admin.execute_unprepared(&anew).await?;
        let db = database::connect(&DatabaseSettings {
            max_connections: 1,
            ..DatabaseSettings::at(&format!("{server}/{DATABASE}"))
        })
        .await?;
        db.execute_unprepared(TABLE).await?;
        Ok(Self { kafka, server, db })
    }

    async fn empty(&self) -> anyhow::Result<()> {
        self.db.execute_unprepared("TRUNCATE TABLE orders").await?;
        Ok(())
    }

    /// The limit: one connection, a transaction per statement, rows that are there already.
    async fn bare(&self, records: usize) -> anyhow::Result<f64> {
        self.empty().await?;
        let rows: Vec<_> = (0..records).map(order).collect::<Result<_, _>>()?;
        let begun = Instant::now();
        for part in rows.chunks(ROWS_PER_STATEMENT) {
            let transaction = self.db.begin().await?;
            transaction.execute_raw(upsert(part)).await?;
            transaction.commit().await?;
        }
        Ok(count(records) / begun.elapsed().as_secs_f64())
    }

    /// The rate, and a line on memory and start.
    async fn worker(&self, arguments: &Arguments) -> anyhow::Result<(f64, String)> {
        self.empty().await?;
        let name = format!("bench-worker-{}", OrderId::random());
        let address: SocketAddr = free_address()?;
        let http = Http::new(&format!("http://{address}"))?;
        let mut command = binary("connect-worker")?;
        command
            .env("CONNECT_WORKER__HTTP__BIND", address.to_string())
            .env("CONNECT_WORKER__KAFKA__BOOTSTRAP_SERVERS", &self.kafka);
        let begun = Instant::now();
        let process = Process::start("connect-worker", command, &log_folder("bench-sink")?)?;
        let connector = json!({"name": name, "config": self.connector(arguments)});
        while !created(&http, &connector).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running(&http, &name).await?;
        let started = begun.elapsed().as_secs_f64();
        let rate = self.time(arguments.records).await?;
        let memory = memory_mib(process.id()?, "VmHWM:")?;
        Answer::to(http.request(Method::DELETE, &format!("/connectors/{name}"))).await?;
        process.kill()?;
        let footprint =
            format!("connect-worker: {memory} MiB at most, {started:.2} s from start to RUNNING");
        Ok((rate, footprint))
    }

    async fn connect(&self, arguments: &Arguments) -> anyhow::Result<f64> {
        self.empty().await?;
        let http = Http::new(&std::env::var("STACK_CONNECT").context("STACK_CONNECT")?)?;
        let name = format!("bench-connect-{}", OrderId::random());
        let connector = json!({"name": name, "config": self.connector(arguments)});
        Answer::to(http.post("/connectors").json(&connector))
            .await?
            .expect(201)?;
        let rate = self.time(arguments.records).await;
        Answer::to(http.request(Method::DELETE, &format!("/connectors/{name}"))).await?;
        rate
    }

    async fn time(&self, records: usize) -> anyhow::Result<f64> {
        let look = async || {
            let sql = "SELECT COUNT(*) AS n FROM orders";
            let statement = Statement::from_string(DbBackend::MySql, sql);
            let row = self.db.query_one_raw(statement).await?.context("a count")?;
            Ok(u64::try_from(row.try_get::<i64>("", "n")?)?)
        };
        let (_, rate) = time_rows(u64::try_from(records)?, look).await?;
        Ok(rate)
    }

    /// `connectors/orders-sink.json` on this topic and this database.
    fn connector(&self, arguments: &Arguments) -> serde_json::Value {
        let host = self.server.rsplit_once('@').map_or("", |(_, host)| host);
        json!({
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": arguments.tasks.to_string(),
            "topics": TOPIC,
            "connection.url": format!("jdbc:mariadb://{host}/{DATABASE}"),
            "connection.username": "test",
            "connection.password": "test",
            "collection.name.format": "orders",
            "insert.mode": "upsert",
            "primary.key.mode": "record_value",
            "primary.key.fields": "id",
            "schema.evolution": "none",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true",
            "value.converter.strict": "true",
            "consumer.override.isolation.level": "read_committed",
            "consumer.override.auto.offset.reset": "earliest",
        })
    }
}

async fn created(http: &Http, connector: &serde_json::Value) -> bool {
    let answer = Answer::to(http.post("/connectors").json(connector)).await;
    answer.is_ok_and(|answer| answer.status == 201)
}

async fn running(http: &Http, name: &str) -> anyhow::Result<()> {
    eventually("the task is RUNNING", async || {
        let status = Answer::to(http.get(&format!("/connectors/{name}/status"))).await?;
        let status: serde_json::Value = status.json()?;
        Ok((status["tasks"][0]["state"] == "RUNNING").then_some(()))
    })
    .await
}

fn upsert(orders: &[Order]) -> Statement {
    const COLUMNS: &str =
        "id, user_id, product_id, qty, unit_price, total_price, created_at, idempotency_key";
    let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; orders.len()].join(", ");
    let updates: Vec<_> = COLUMNS
        .split(", ")
        .skip(1)
        .map(|name| format!("{name} = VALUES({name})"))
        .collect();
    let sql = format!(
        "INSERT INTO orders ({COLUMNS}) VALUES {rows} ON DUPLICATE KEY UPDATE {}",
        updates.join(", ")
    );
    let values = orders.iter().flat_map(|order| -> [Value; 8] {
        [
            order.id.to_string().into(),
            order.user_id.0.into(),
            order.product_id.0.into(),
            order.qty.into(),
            order.unit_price.into(),
            order.total_price.into(),
            order.created_at.to_value(DbBackend::MySql),
            order.idempotency_key.clone().into(),
        ]
    });
    Statement::from_sql_and_values(DbBackend::MySql, sql, values)
}
