//! Orders that come at their time, whether those before are answered or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use sea_orm::DatabaseConnection;
use shared::contract::OrderId;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{CONNECTIONS, LOOKED_FOR, Paced, id_in, visible};
use crate::backlog::PATIENCE;
use crate::load::{self, Connection};
use crate::measure::{Run, count};

/// One of so many orders is looked for: each look costs the database a little.
const SAMPLE: usize = 20;
/// How wrong a latency can be.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// An order that has its 201 since.
struct Accepted {
    id: OrderId,
    at: Instant,
}

struct Schedule {
    begun: Instant,
    /// Orders per second.
    rate: f64,
    orders: usize,
    begun_orders: AtomicUsize,
}

impl Schedule {
    /// The next order, and when it is due.
    fn next(&self) -> Option<(usize, Instant)> {
        let number = self.begun_orders.fetch_add(1, Ordering::Relaxed);
        let due = self.begun + Duration::from_secs_f64(count(number) / self.rate);
        (number < self.orders).then_some((number, due))
    }
}

/// Places so many orders, so many a second.
pub(super) async fn run(
    service: SocketAddr,
    db: &DatabaseConnection,
    rate: f64,
    orders: usize,
) -> anyhow::Result<Paced> {
    let connections = (0..CONNECTIONS).map(|_| Connection::open(service));
    let connections = try_join_all(connections).await?;
    let schedule = Arc::new(Schedule {
        begun: Instant::now(),
        rate,
        orders,
        begun_orders: AtomicUsize::new(0),
    });
    let (samples, accepted) = unbounded_channel();
    let clients: Vec<_> = connections
        .into_iter()
        .map(|connection| {
            let (schedule, samples) = (Arc::clone(&schedule), samples.clone());
            tokio::spawn(client(service, connection, schedule, samples))
        })
        .collect();
    drop(samples);
    let visible = tokio::time::timeout(PATIENCE, watch(db, accepted)).await??;
    let mut post = Run::default();
    for client in clients {
        post.latencies.extend(client.await??);
    }
    Ok(Paced { post, visible })
}

/// What is late counts from when it was due.
async fn client(
    service: SocketAddr,
    mut connection: Connection,
    schedule: Arc<Schedule>,
    samples: UnboundedSender<Accepted>,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some((number, due)) = schedule.next() {
        tokio::time::sleep_until(due.into()).await;
        let request = load::order(service, number);
        let answer = connection.ask(&request, 201).await?;
        let at = Instant::now();
        latencies.push(at - due);
        if number % SAMPLE == 0 {
            let id = id_in(answer)?;
            samples.send(Accepted { id, at })?;
        }
    }
    Ok(latencies)
}

/// Looks for each until its rows are there.
async fn watch(
    db: &DatabaseConnection,
    mut accepted: UnboundedReceiver<Accepted>,
) -> anyhow::Result<Run> {
    let mut run = Run::default();
    let mut sought = Vec::new();
    loop {
        let is_over = loop {
            match accepted.try_recv() {
                Ok(order) => sought.push(order),
                Err(TryRecvError::Empty) => break false,
                Err(TryRecvError::Disconnected) => break true,
            }
        };
        if is_over && sought.is_empty() {
            return Ok(run);
        }
        let mut seen = Vec::new();
        for part in sought.chunks(LOOKED_FOR) {
            let ids: Vec<_> = part.iter().map(|order| order.id).collect();
            seen.extend(visible(db, &ids).await?);
        }
        let now = Instant::now();
        for order in sought.extract_if(.., |order| seen.contains(&order.id)) {
            run.latencies.push(now - order.at);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
