//! The same orders and the same faults for the pair and for its naive twin.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future;
use parking_lot::Mutex;
use reqwest::Client;
use sea_orm::{DatabaseConnection, DbErr};
use serde::Serialize;
use shared::contract::{DeltaKind, OrderId};
use shared::database;
use shared::kafka::{KafkaSettings, TopicSettings, ensure_topics};

use crate::Looks;
use crate::audit::{Answer, rows};
use crate::breaker::{Action, Breaker};
use crate::naive::{NAIVE_TOPICS, Naive, Victim};
use crate::settings::Settings;
use crate::shop::NewOrder;

const ORDERS: u64 = 1_000;
const STOCK: i64 = 700;
const WAVE: u64 = 50;
const EVERY: Duration = Duration::from_millis(300);
/// A product of its own, so that nobody else takes from its stock.
const PRODUCT: i64 = 900;
const USER: i64 = 3;
const PRICE: i64 = 100;
/// How long a killed part stays away.
const AWAY: Duration = Duration::from_secs(1);
/// What has not changed for so long is done.
const QUIET: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(90);
const CHUNK: usize = 500;

/// Who is killed amid the wave that comes after so many orders. A catalog-service comes last: what
/// the naive one takes a second time would make up for what it has overwritten until then.
const FAULTS: [(u64, Victim, &str); 3] = [
    (ORDERS / 4, Victim::Orders, "order-service-2"),
    (ORDERS * 7 / 10, Victim::Sink, "sink"),
    (ORDERS * 9 / 10, Victim::Catalog, "catalog-service"),
];

/// What the page shows of a race.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Score {
    running: bool,
    /// What is under way, or went wrong.
    step: String,
    stock: i64,
    pair: Side,
    naive: Side,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Side {
    acknowledged: u64,
    lost: Option<u64>,
    doubled: Option<u64>,
    /// Units given away that were not there.
    oversold: Option<i64>,
    /// Units by which the stock is not what was there less what orders were granted.
    stock_wrong: Option<i64>,
}

pub(crate) struct Race {
    pub(crate) breaker: Breaker,
    kafka: KafkaSettings,
    naive_database: DatabaseConnection,
    looks: Looks,
    score: Mutex<Option<Score>>,
}

/// The ids with which both sides have acknowledged orders.
#[derive(Default)]
struct Placed {
    begun: AtomicU64,
    pair: Mutex<Vec<OrderId>>,
    naive: Mutex<Vec<String>>,
}

impl Race {
    /// `None` where nothing is to be broken.
    pub(crate) async fn new(
        settings: &Settings,
        client: Client,
        looks: Looks,
    ) -> Result<Option<Arc<Self>>, DbErr> {
        let Some(breaker) = Breaker::new(client, settings) else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Self {
            breaker,
            kafka: settings.kafka.clone(),
            naive_database: database::connect(&settings.naive_database).await?,
            looks,
            score: Mutex::default(),
        })))
    }

    pub(crate) fn score(&self) -> Option<Score> {
        self.score.lock().clone()
    }

    /// `false` if one is running.
    pub(crate) fn begin(self: &Arc<Self>) -> bool {
        let mut score = self.score.lock();
        if score.as_ref().is_some_and(|score| score.running) {
            return false;
        }
        *score = Some(Score {
            running: true,
            step: "getting ready".to_owned(),
            stock: STOCK,
            pair: Side::default(),
            naive: Side::default(),
        });
        let race = Arc::clone(self);
        tokio::spawn(async move {
            let ended = race.run().await;
            race.update(|score| {
                score.running = false;
                score.step = match ended {
                    Ok(()) => String::new(),
                    Err(error) => format!("The race was broken off: {error:#}"),
                };
            });
        });
        true
    }

    fn update(&self, change: impl FnOnce(&mut Score)) {
        if let Some(score) = self.score.lock().as_mut() {
            change(score);
        }
    }

    fn step(&self, step: &str) {
        self.update(|score| step.clone_into(&mut score.step));
    }

    async fn run(&self) -> anyhow::Result<()> {
        self.looks
            .shop
            .stock_up(PRODUCT, "Race ticket", (PRICE, STOCK))
            .await?;
        ensure_topics(
            &self.kafka,
            &NAIVE_TOPICS.map(|name| TopicSettings::new(name, 3)),
        )
        .await?;
        let database = self.naive_database.clone();
        let naive = Naive::start(self.kafka.clone(), database, STOCK).await?;
        let formed = async {
            while !naive.is_ready() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let formed = tokio::time::timeout(PATIENCE, formed).await;
        formed.context("the naive twin does not start")?;
        let placed = Placed::default();
        let (_, broken) = tokio::join!(
            self.place_all(&naive, &placed),
            self.break_all(&naive, &placed)
        );
        broken?;
        self.step("waiting until all is handled");
        self.settle(&naive).await?;
        self.count(&naive, &placed).await
    }

    /// In waves, as a shop's customers come after a mail.
    async fn place_all(&self, naive: &Naive, placed: &Placed) {
        let mut waves = tokio::time::interval(EVERY);
        let mut begun = 0;
        while begun < ORDERS {
            waves.tick().await;
            let wave = begun..begun + WAVE;
            begun = wave.end;
            let orders = wave.map(|number| self.place(naive, placed, number));
            future::join_all(orders).await;
        }
    }

    /// One on either side. Both have a client who turns to the other instance where nobody
    /// listens.
    async fn place(&self, naive: &Naive, placed: &Placed, number: u64) {
        placed.begun.fetch_add(1, Ordering::Relaxed);
        let instance = usize::try_from(number).unwrap_or(0);
        let id = naive
            .place(instance, 1)
            .or_else(|| naive.place(instance + 1, 1));
        placed.naive.lock().extend(id);
        let order = NewOrder {
            user_id: USER,
            product_id: PRODUCT,
            qty: 1,
            unit_price: PRICE,
        };
        let sent = self.looks.shop.place(&order, None).await;
        if sent.answer == Answer::Acknowledged {
            let id: Option<OrderId> = sent
                .last
                .and_then(|answer| answer.body["id"].as_str()?.parse().ok());
            placed.pair.lock().extend(id);
        }
        let (pair, naive) = (placed.pair.lock().len(), placed.naive.lock().len());
        self.update(|score| {
            score.pair.acknowledged = pair as u64;
            score.naive.acknowledged = naive as u64;
        });
    }

    async fn break_all(&self, naive: &Naive, placed: &Placed) -> anyhow::Result<()> {
        for (after, victim, part) in FAULTS {
            self.step(&format!("placing orders; {part} is killed next"));
            while placed.begun.load(Ordering::Relaxed) <= after {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            self.step(&format!("placing orders; {part} is killed"));
            naive.kill(victim);
            self.strike(part, Action::Kill).await?;
            tokio::time::sleep(AWAY).await;
            naive.start_again(victim)?;
            self.strike(part, Action::Start).await?;
        }
        self.step("placing orders");
        Ok(())
    }

    async fn strike(&self, part: &str, action: Action) -> anyhow::Result<()> {
        let struck = self.breaker.strike(part.to_owned(), action).await;
        struck.map_err(anyhow::Error::msg)
    }

    /// Until the pair has settled every order, and nothing has happened to the other's rows
    /// for a while.
    async fn settle(&self, naive: &Naive) -> anyhow::Result<()> {
        let settled = async {
            let mut last = naive.count().await?;
            loop {
                tokio::time::sleep(QUIET).await;
                let now = naive.count().await?;
                if now == last && self.looks.audit.is_settled() {
                    return anyhow::Ok(());
                }
                last = now;
            }
        };
        let settled = tokio::time::timeout(PATIENCE, settled).await;
        settled.context("not everything was handled in time")?
    }

    async fn count(&self, naive: &Naive, placed: &Placed) -> anyhow::Result<()> {
        let counts = naive.count().await?;
        let acknowledged = i64::try_from(placed.naive.lock().len())?;
        let ids = placed.pair.lock().clone();
        let pair = self.count_pair(&ids).await?;
        self.update(|score| {
            score.pair = pair;
            score.naive.lost = u64::try_from(acknowledged - counts.orders).ok();
            score.naive.doubled = u64::try_from(counts.rows - counts.orders).ok();
            score.naive.oversold = Some((counts.granted - STOCK).max(0));
            score.naive.stock_wrong = Some((STOCK - counts.granted - counts.stock).abs());
        });
        Ok(())
    }

    async fn count_pair(&self, ids: &[OrderId]) -> anyhow::Result<Side> {
        let mut copies = BTreeMap::<OrderId, u64>::new();
        let mut taken = 0;
        for chunk in ids.chunks(CHUNK) {
            for id in rows::order_ids(&self.looks.databases.orders, chunk).await? {
                *copies.entry(id).or_default() += 1;
            }
            let keys: Vec<_> = chunk.iter().map(|id| (*id, DeltaKind::Reserve)).collect();
            let found = rows::read(&self.looks.databases, &keys).await?;
            let reserves = found.values().filter_map(|rows| rows.reserve);
            taken += reserves.map(|reserve| -reserve.delta).sum::<i64>();
        }
        let stock = rows::stock(&self.looks.databases.catalog).await?;
        let product = stock.iter().find(|stock| stock.product_id == PRODUCT);
        let acknowledged = ids.len() as u64;
        ensure!(acknowledged > 0, "no order was acknowledged");
        Ok(Side {
            acknowledged,
            lost: Some(acknowledged - copies.len() as u64),
            doubled: Some(copies.values().map(|count| count - 1).sum()),
            oversold: Some((taken - STOCK).max(0)),
            stock_wrong: product.map(|stock| (stock.ledger - stock.qty).abs()),
        })
    }
}
