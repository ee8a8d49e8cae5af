use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use e2e::{
    Answer, Answered, OrderBody, PATIENCE, PlaceOrder, Recorder, World, becomes, eventually,
};
use futures_util::future::try_join_all;
use shared::contract::OrderId;

const CLIENTS: usize = 8;
const THINK: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_millis(100);
/// A container that was killed has to come back first.
const TRIED_FOR: Duration = Duration::from_secs(120);
const STOCK: i64 = 1_000_000;

/// What a client takes for a reason to try again, under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tolerance {
    /// 503, which says that nothing was done.
    Refusals,
    /// 502, 504 and broken connections too.
    Anything,
}

/// Clients in a closed loop, who write down all that they are told.
pub(super) struct Traffic {
    name: &'static str,
    tolerance: Tolerance,
    user: i64,
    product: i64,
    recorder: Recorder,
    next: AtomicUsize,
    placed: Mutex<Vec<OrderId>>,
    over: AtomicBool,
}

impl Traffic {
    pub(super) async fn new(
        world: &World,
        name: &'static str,
        tolerance: Tolerance,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            name,
            tolerance,
            user: world.unique(),
            product: world.new_product(STOCK).await?,
            recorder: Recorder::create(&world.logs().join("answers.jsonl"))?,
            next: AtomicUsize::new(0),
            placed: Mutex::new(Vec::new()),
            over: AtomicBool::new(false),
        })
    }

    /// Goes on as long as the work does; fails if either does.
    pub(super) async fn during(
        &self,
        world: &World,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let clients = try_join_all((0..CLIENTS).map(|_| self.client(world)));
        let work = async {
            let done = work.await;
            self.over.store(true, Ordering::Relaxed);
            done
        };
        tokio::try_join!(clients, work).map(drop)
    }

    /// Waits until so many more orders are acknowledged.
    pub(super) async fn more(&self, orders: usize) -> anyhow::Result<()> {
        let enough = self.so_far() + orders;
        eventually(
            &format!("{orders} more orders are acknowledged"),
            async || Ok((self.so_far() >= enough).then_some(())),
        )
        .await
    }

    /// Every order acknowledged is one row, and has taken its stock once.
    pub(super) async fn is_in_the_databases(&self, world: &World) -> anyhow::Result<()> {
        let placed = self.placed()?.clone();
        becomes("the orders written", placed.len(), async || {
            Ok(world.orders_database.orders_of(self.user).await?.len())
        })
        .await?;
        let sold = i64::try_from(placed.len())?;
        becomes("the stock", STOCK - sold, async || {
            world.catalog.stock(self.product).await
        })
        .await
    }

    async fn client(&self, world: &World) -> anyhow::Result<()> {
        while !self.over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let id = self.place(world, format!("{}-{number}", self.name)).await?;
            self.placed()?.push(id);
            tokio::time::sleep(THINK).await;
        }
        Ok(())
    }

    async fn place(&self, world: &World, key: String) -> anyhow::Result<OrderId> {
        let order = PlaceOrder {
            user_id: self.user,
            product_id: self.product,
            qty: 1,
            unit_price: 100,
        };
        let deadline = Instant::now() + TRIED_FOR;
        loop {
            let request = world.orders[0]
                .order(&order)
                .header("Idempotency-Key", &key);
            let answer = Answer::to(request.timeout(PATIENCE)).await;
            let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
            let accepted = matches!(status, Some(200 | 201));
            let body = answer.as_ref().ok().filter(|_| accepted);
            let id = body
                .map(|answer| answer.json::<OrderBody>())
                .transpose()?
                .map(|order| order.id);
            self.recorder
                .record(&Answered::Order {
                    status,
                    id,
                    user_id: order.user_id,
                    product_id: order.product_id,
                    qty: order.qty,
                    unit_price: order.unit_price,
                    key: Some(key.clone()),
                })
                .await?;
            if let Some(id) = id {
                return Ok(id);
            }
            let told = match answer {
                Ok(answer) => format!("{}: {}", answer.status, answer.text()),
                Err(error) => format!("{error:?}"),
            };
            match status {
                Some(503) => {}
                Some(502 | 504) | None if self.tolerance == Tolerance::Anything => {}
                _ => bail!("order {key}: {told}"),
            }
            ensure!(Instant::now() < deadline, "order {key}: at last {told}");
            tokio::time::sleep(RETRY).await;
        }
    }

    fn so_far(&self) -> usize {
        self.placed().map_or(0, |placed| placed.len())
    }

    fn placed(&self) -> anyhow::Result<std::sync::MutexGuard<'_, Vec<OrderId>>> {
        let placed = self.placed.lock();
        placed.map_err(|_| anyhow::anyhow!("a client panicked"))
    }
}
