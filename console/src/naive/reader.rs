use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::{DELTAS, Ground, ORDERS};

/// As Kafka's consumers do by themselves.
const AUTO_COMMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    Catalog,
    Sink,
}

/// A consumer that handles record after record; dropped, it is killed.
pub(super) struct Reader {
    consumer: Arc<StreamConsumer>,
    work: JoinHandle<()>,
}

#[derive(Deserialize)]
struct Record {
    run: String,
    id: String,
    qty: i64,
}

impl Reader {
    pub(super) fn start(ground: &Ground, work: Work) -> KafkaResult<Self> {
        let (name, topic) = match work {
            Work::Catalog => ("catalog", DELTAS),
            Work::Sink => ("sink", ORDERS),
        };
        let mut config = ground.kafka.consumer("naive");
        config.set("group.id", format!("naive-{name}-{}", ground.run));
        let consumer: StreamConsumer = config.create()?;
        consumer.subscribe(&[topic])?;
        let consumer = Arc::new(consumer);
        let (reading, ground) = (Arc::clone(&consumer), ground.clone());
        let work = tokio::spawn(async move { read(&reading, &ground, work).await });
        Ok(Self { consumer, work })
    }

    /// Whether it has something to read.
    pub(super) fn is_assigned(&self) -> bool {
        let assigned = self.consumer.assignment();
        assigned.is_ok_and(|partitions| partitions.count() > 0)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn read(consumer: &StreamConsumer, ground: &Ground, work: Work) {
    let mut committed = Instant::now();
    loop {
        let handled = match consumer.recv().await {
            Ok(record) => {
                consumer.store_offset_from_message(&record).ok();
                handle(ground, work, &record).await
            }
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(())
            }
        };
        if let Err(error) = handled {
            // A log line, and on to the next.
            tracing::debug!(%error, ?work, "naive");
        }
        if committed.elapsed() >= AUTO_COMMIT {
            committed = Instant::now();
            consumer.commit_consumer_state(CommitMode::Async).ok();
        }
    }
}

async fn handle(ground: &Ground, work: Work, record: &BorrowedMessage<'_>) -> Result<(), DbErr> {
    let value = record.payload().unwrap_or_default();
    match serde_json::from_slice::<Record>(value) {
        Ok(record) if record.run == ground.run => match work {
            Work::Catalog => take(ground, record).await,
            Work::Sink => insert(ground, &record).await,
        },
        _ => Ok(()),
    }
}

async fn take(ground: &Ground, record: Record) -> Result<(), DbErr> {
    let database = &ground.database;
    let backend = database.get_database_backend();
    let query = Statement::from_string(backend, "SELECT qty FROM naive_stock");
    let row = database.query_one_raw(query).await?;
    let qty: i64 = row.map_or(Ok(0), |row| row.try_get("", "qty"))?;
    if qty < record.qty {
        return Ok(());
    }
    let update = format!("UPDATE naive_stock SET qty = {}", qty - record.qty);
    database.execute_unprepared(&update).await?;
    ground.granted.lock().insert(record.id, record.qty);
    Ok(())
}

async fn insert(ground: &Ground, record: &Record) -> Result<(), DbErr> {
    let database = &ground.database;
    let sql = "INSERT INTO naive_orders (id, qty) VALUES (?, ?)";
    let values = [record.id.clone().into(), record.qty.into()];
    let backend = database.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, values);
    database.execute_raw(statement).await.map(drop)
}
