use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::{
    Answer, Answered, CatalogService, Http, OrderBody, OrderService, PlaceOrder, Product, Recorder,
};
use fastrand::Rng;
use reqwest::RequestBuilder;
use serde_json::json;
use shared::contract::OrderId;
use tokio::sync::broadcast;

use crate::judge::{Operation, Outcome, Times};
use crate::report::Report;
use crate::watch::Placed;

const CLIENTS: usize = 16;
/// Clients that only place orders: the others are held up by whatever is frozen.
const ORDERING: usize = 8;
/// Beyond the services' own deadline of 5 s: what is frozen does not answer in time.
const REQUEST_LIMIT: Duration = Duration::from_secs(8);
/// How long one request is tried: longer than several faults in a row.
const TRIED_FOR: Duration = Duration::from_secs(120);
const THINK_MS: std::ops::Range<u64> = 30..150;
const RETRY: Duration = Duration::from_millis(200);
/// Orders that a client may still cancel or read.
const REMEMBERED: usize = 200;

const USERS: i64 = 100;
/// Products with plenty of stock, then some that sell out again and again, then one that
/// is not there.
const PLENTY: std::ops::RangeInclusive<i64> = 1..=8;
const SCARCE: std::ops::RangeInclusive<i64> = 9..=11;
const UNKNOWN: i64 = 12;

/// Clients in a closed loop, half of them at home on each order-service.
pub(crate) struct Load {
    orders: [OrderService; 2],
    catalogs: [CatalogService; 2],
    recorder: Recorder,
    report: Arc<Report>,
    placed: broadcast::Sender<Placed>,
    in_flight: [AtomicUsize; 5],
    /// Whether nothing is broken, so that nothing may be refused.
    calm: AtomicBool,
    stop: AtomicBool,
}

impl Load {
    pub(crate) async fn new(
        orders: [Http; 2],
        catalogs: [Http; 2],
        recorder: Recorder,
        report: Arc<Report>,
    ) -> anyhow::Result<Arc<Self>> {
        let load = Self {
            orders: orders.map(OrderService),
            catalogs: catalogs.map(CatalogService),
            recorder,
            report,
            placed: broadcast::channel(1_024).0,
            in_flight: Default::default(),
            calm: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        };
        for id in PLENTY {
            load.stock(id, 1_000_000).await?;
        }
        for id in SCARCE {
            load.stock(id, 100).await?;
        }
        Ok(Arc::new(load))
    }

    async fn stock(&self, id: i64, qty: i64) -> anyhow::Result<()> {
        let name = format!("Product {id}");
        let put = self.catalogs[0].put_product(id, &name, qty).await?;
        put.expect(201).map(drop)
    }

    /// Starts the clients; they run until [`Self::stop`].
    pub(crate) fn start(
        self: &Arc<Self>,
        seed: u64,
    ) -> Vec<tokio::task::JoinHandle<anyhow::Result<()>>> {
        let clients = (0..CLIENTS).map(|number| {
            let client = Client {
                load: Arc::clone(self),
                number,
                rng: Rng::with_seed(seed.wrapping_add(number as u64)),
                sent: 0,
                own: VecDeque::new(),
            };
            tokio::spawn(client.run())
        });
        clients.collect()
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }

    /// Orders answered 201 from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Placed> {
        self.placed.subscribe()
    }

    pub(crate) fn in_flight(&self) -> String {
        let number =
            |operation: Operation| self.in_flight[operation as usize].load(Ordering::Relaxed);
        format!(
            "{} orders, {} cancels, {} adjustments, {} reads",
            number(Operation::Order),
            number(Operation::Cancel),
            number(Operation::Adjustment),
            number(Operation::Read) + number(Operation::Stock)
        )
    }

    /// Sends it, counts it, and judges the answer.
    async fn send(&self, operation: Operation, request: RequestBuilder) -> (Outcome, Times) {
        let calm = self.is_calm();
        let in_flight = &self.in_flight[operation as usize];
        in_flight.fetch_add(1, Ordering::Relaxed);
        let sent = Instant::now();
        let answer = Answer::to(request.timeout(REQUEST_LIMIT)).await;
        let times = Times {
            sent,
            answered: Instant::now(),
        };
        in_flight.fetch_sub(1, Ordering::Relaxed);
        let outcome = Outcome::of(operation, answer);
        self.report.count(operation.name(), outcome.to_string());
        if let Some(why) = outcome.breaks_a_promise(operation, calm && self.is_calm()) {
            self.report
                .violation(&format!("{}: {why}", operation.name()));
        }
        (outcome, times)
    }
}

struct Client {
    load: Arc<Load>,
    number: usize,
    rng: Rng,
    sent: usize,
    /// Orders that were acknowledged to it.
    own: VecDeque<OrderId>,
}

impl Client {
    async fn run(mut self) -> anyhow::Result<()> {
        while !self.load.is_stopped() {
            self.sent += 1;
            match self.rng.u8(..100) {
                _ if self.number < ORDERING => self.order().await?,
                0..40 => self.order().await?,
                40..55 => self.cancel().await?,
                55..65 => self.adjust().await?,
                _ => self.read().await,
            }
            tokio::time::sleep(Duration::from_millis(self.rng.u64(THINK_MS))).await;
        }
        Ok(())
    }

    /// Its own order-service; the other one for every second attempt.
    fn order_service(&self, attempt: usize) -> &OrderService {
        &self.load.orders[(self.number + attempt) % 2]
    }

    /// With a key it is tried until it is acknowledged, at one instance and the other; without
    /// one, once: a second attempt would be a second order. Half of those whose first attempt
    /// is refused are given up: nobody may ever see them again.
    async fn order(&mut self) -> anyhow::Result<()> {
        let order = self.any_order();
        let key = self.rng.bool().then(|| self.key());
        let gives_up = self.rng.bool();
        let since = Instant::now();
        for attempt in 0.. {
            let mut request = self.order_service(attempt).order(&order);
            if let Some(key) = &key {
                request = request.header("Idempotency-Key", key);
            }
            let (outcome, times) = self.load.send(Operation::Order, request).await;
            let placed: Option<OrderBody> = outcome.body();
            let id = placed.map(|order| order.id).or(outcome.problem_id());
            let answered = Answered::Order {
                status: outcome.status(),
                id,
                user_id: order.user_id,
                product_id: order.product_id,
                qty: order.qty,
                unit_price: order.unit_price,
                key: key.clone(),
            };
            self.load.recorder.record(&answered).await?;
            if outcome.is_success() {
                self.remember(id, times);
                return Ok(());
            }
            let refused = outcome.status() == Some(503);
            if key.is_none() || refused && attempt == 0 && gives_up {
                return Ok(());
            }
            if since.elapsed() > TRIED_FOR {
                let what = format!("an order under {key:?} is not acknowledged: {outcome}");
                self.load.report.violation(&what);
                return Ok(());
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(())
    }

    fn remember(&mut self, id: Option<OrderId>, Times { sent, answered }: Times) {
        let Some(id) = id else { return };
        self.own.push_back(id);
        if self.own.len() > REMEMBERED {
            self.own.pop_front();
        }
        // Nobody may be watching.
        self.load.placed.send(Placed { id, sent, answered }).ok();
    }

    fn any_order(&mut self) -> PlaceOrder {
        let product_id = match self.rng.u8(..10) {
            0..7 => self.rng.i64(PLENTY),
            7..9 => self.rng.i64(SCARCE),
            _ => UNKNOWN,
        };
        PlaceOrder {
            user_id: self.rng.i64(1..=USERS),
            product_id,
            qty: self.rng.i32(1..=5),
            unit_price: self.rng.i64(0..10_000),
        }
    }

    fn key(&self) -> String {
        format!("client-{}-{}", self.number, self.sent)
    }

    fn own_order(&mut self) -> Option<OrderId> {
        let index = self.rng.usize(..self.own.len().max(1));
        self.own.get(index).copied()
    }

    /// Repeated at will: a release counts once.
    async fn cancel(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.own_order() else {
            return Ok(());
        };
        let since = Instant::now();
        for attempt in 0.. {
            let request = self
                .order_service(attempt)
                .post(&format!("/orders/{id}/cancel"));
            let (outcome, _) = self.load.send(Operation::Cancel, request).await;
            let status = outcome.status();
            let answered = Answered::Cancel { status, id };
            self.load.recorder.record(&answered).await?;
            if outcome.is_success() || since.elapsed() > TRIED_FOR {
                return Ok(());
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(())
    }

    async fn adjust(&mut self) -> anyhow::Result<()> {
        let (product_id, delta) = match self.rng.u8(..4) {
            0 => (self.rng.i64(PLENTY), -1),
            _ => (self.rng.i64(SCARCE), 20),
        };
        let key = self.key();
        let since = Instant::now();
        for attempt in 0.. {
            let catalog = &self.load.catalogs[(self.number + attempt) % 2];
            let request = catalog
                .post(&format!("/catalog/{product_id}/adjustments"))
                .header("Idempotency-Key", &key)
                .json(&json!({ "delta": delta, "reason": "chaos" }));
            let (outcome, _) = self.load.send(Operation::Adjustment, request).await;
            let answered = Answered::Adjustment {
                status: outcome.status(),
                product_id,
                delta,
                key: key.clone(),
            };
            self.load.recorder.record(&answered).await?;
            if outcome.is_success() {
                return Ok(());
            }
            if since.elapsed() > TRIED_FOR {
                let what = format!("adjustment {key} is not made: {outcome}");
                self.load.report.violation(&what);
                return Ok(());
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(())
    }

    async fn read(&mut self) {
        let (what, own) = (self.rng.u8(..4), self.own_order());
        match (what, own) {
            (0, _) => self.read_stock().await,
            (1, _) => {
                let path = format!("/orders?user_id={}", self.rng.i64(1..=USERS));
                let page = self.load.orders[self.rng.usize(..2)].get(&path);
                self.load.send(Operation::Read, page).await;
            }
            (_, Some(id)) => self.read_order(id).await,
            (_, None) => {}
        }
    }

    async fn read_stock(&mut self) {
        let id = self.rng.i64(1..UNKNOWN);
        let catalog = &self.load.catalogs[self.rng.usize(..2)];
        let request = catalog.get(&format!("/catalog/{id}"));
        let (outcome, _) = self.load.send(Operation::Stock, request).await;
        let product: Option<Product> = outcome.body();
        self.asked_for("product", id, product.map(|product| product.product_id));
    }

    async fn read_order(&mut self, id: OrderId) {
        let orders = &self.load.orders[self.rng.usize(..2)];
        let request = orders.get(&format!("/orders/{id}"));
        let (outcome, _) = self.load.send(Operation::Read, request).await;
        let order: Option<OrderBody> = outcome.body();
        self.asked_for("order", id, order.map(|order| order.id));
    }

    fn asked_for<T: PartialEq + Display>(&self, what: &str, asked: T, answered: Option<T>) {
        if let Some(other) = answered.filter(|answered| *answered != asked) {
            let wrong = format!("asked for {what} {asked}, answered {other}");
            self.load.report.violation(&wrong);
        }
    }
}
