use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use e2e::{
    Answer, Http, LedgerRow, OrderBody, OrderRow, PATIENCE, PlaceOrder, World, becomes, eventually,
};
use futures_util::future::try_join_all;
use shared::contract::OrderId;

const CLIENTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(50);
/// One product never runs out, one sells out, one is not there.
const STOCKS: [Option<i64>; 3] = [Some(100_000), Some(150), None];

/// What a client takes for a reason to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tolerance {
    /// 503, 504 and every broken connection.
    Killing,
    /// 503, and a connection that is refused or closed without an answer: a graceful stop
    /// answers whom it has let in, but closes connections that still wait to be accepted.
    Stopping,
}

/// A fixed number of different orders, placed by several clients, each under a key of its
/// own until it is acknowledged.
pub(crate) struct Load {
    user: i64,
    products: Vec<(i64, Option<i64>)>,
    orders: usize,
    released: AtomicUsize,
    acknowledged: AtomicUsize,
}

impl Load {
    pub(crate) async fn new(world: &World, orders: usize) -> anyhow::Result<Self> {
        let mut products = Vec::new();
        for stock in STOCKS {
            let product = match stock {
                Some(qty) => world.new_product(qty).await?,
                None => world.unique(),
            };
            products.push((product, stock));
        }
        Ok(Self {
            user: world.unique(),
            products,
            orders,
            released: AtomicUsize::new(orders),
            acknowledged: AtomicUsize::new(0),
        })
    }

    /// Holds back all but the first so many orders, or lets them go.
    pub(crate) fn release(&self, orders: usize) {
        self.released.store(orders, Ordering::Relaxed);
    }

    /// Waits until so many orders are acknowledged: the moment for something to happen.
    pub(crate) async fn acknowledged(&self, orders: usize) -> anyhow::Result<()> {
        let what = format!("{orders} orders are acknowledged");
        eventually(&what, async || {
            let so_far = self.acknowledged.load(Ordering::Relaxed);
            ensure!(so_far >= orders, "{so_far}");
            Ok(Some(()))
        })
        .await
    }

    /// Places all orders at these instances, and returns the ids acknowledged, by number.
    pub(crate) async fn run(
        &self,
        instances: &[Http],
        tolerance: Tolerance,
    ) -> anyhow::Result<Vec<OrderId>> {
        let client = async |client: usize| {
            let mut placed = Vec::new();
            for number in (client..self.orders).step_by(CLIENTS) {
                while number >= self.released.load(Ordering::Relaxed) {
                    tokio::time::sleep(PAUSE).await;
                }
                placed.push((number, self.place(number, instances, tolerance).await?));
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(placed)
        };
        let placed = try_join_all((0..CLIENTS).map(client)).await?;
        let placed: BTreeMap<_, _> = placed.into_iter().flatten().collect();
        Ok(placed.into_values().collect())
    }

    async fn place(
        &self,
        number: usize,
        instances: &[Http],
        tolerance: Tolerance,
    ) -> anyhow::Result<OrderId> {
        let deadline = Instant::now() + PATIENCE;
        // A key is good on every instance: the next attempt goes to another.
        for instance in instances.iter().cycle().skip(number % instances.len()) {
            let request = instance.post("/orders").json(&self.order(number));
            let refusal = match Answer::to(request.header("Idempotency-Key", key(number))).await {
                Ok(answer) if [200, 201].contains(&answer.status.as_u16()) => {
                    return Ok(answer.json::<OrderBody>()?.id);
                }
                Ok(answer) if answer.status == 503 => answer.text(),
                Ok(answer) if answer.status == 504 && tolerance == Tolerance::Killing => {
                    answer.text()
                }
                Ok(answer) => bail!("order {number}: {}: {}", answer.status, answer.text()),
                Err(error) if error.is_request() || tolerance == Tolerance::Killing => {
                    format!("{error:?}")
                }
                Err(error) => bail!("order {number}: {error:?}"),
            };
            ensure!(
                Instant::now() < deadline,
                "order {number} is not acknowledged: {refusal}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        bail!("there is no instance")
    }

    /// Every order acknowledged is one row, one reservation, one outcome, and stock is
    /// what the confirmed ones have left.
    pub(crate) async fn nothing_is_lost_or_doubled(
        &self,
        world: &World,
        acknowledged: &[OrderId],
    ) -> anyhow::Result<()> {
        becomes("the number of rows", self.orders, async || {
            Ok(world.orders_database.orders_of(self.user).await?.len())
        })
        .await?;
        let rows = world.orders_database.orders_of(self.user).await?;
        let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        for (number, id) in acknowledged.iter().enumerate() {
            let row = rows
                .get(id)
                .with_context(|| format!("order {number} ({id}) has no row"))?;
            self.is_as_ordered(number, row)?;
        }
        for (product, stock) in &self.products {
            let ordered: Vec<_> = rows
                .values()
                .filter(|row| row.product_id == *product)
                .collect();
            decided_once(world, *product, &ordered).await?;
            let taken: i64 = reservations(world, *product)
                .await?
                .iter()
                .map(|row| row.delta)
                .sum();
            match stock {
                Some(initial) => assert_eq!(world.catalog.stock(*product).await?, initial + taken),
                None => assert_eq!(taken, 0),
            }
        }
        for id in acknowledged {
            becomes("the number of outcomes", 1, async || {
                Ok(world.orders_database.outcomes(*id).await?.len())
            })
            .await?;
        }
        Ok(())
    }

    fn is_as_ordered(&self, number: usize, row: &OrderRow) -> anyhow::Result<()> {
        let order = self.order(number);
        let found = (
            row.product_id,
            row.qty,
            row.unit_price,
            row.idempotency_key.clone(),
        );
        let expected = (
            order.product_id,
            order.qty,
            order.unit_price,
            Some(key(number)),
        );
        ensure!(found == expected, "order {number}: {row:?}");
        Ok(())
    }

    fn order(&self, number: usize) -> PlaceOrder {
        let (product_id, _) = self.products[number % self.products.len()];
        let qty = if number.is_multiple_of(2) { 1 } else { 2 };
        PlaceOrder {
            user_id: self.user,
            product_id,
            qty,
            unit_price: 100,
        }
    }
}

fn key(number: usize) -> String {
    format!("load-{number}")
}

async fn reservations(world: &World, product: i64) -> anyhow::Result<Vec<LedgerRow>> {
    let mut rows = world.catalog_database.ledger_of(product).await?;
    rows.retain(|row| row.kind == "reserve");
    Ok(rows)
}

/// One reservation per order, which took all or nothing.
async fn decided_once(world: &World, product: i64, ordered: &[&OrderRow]) -> anyhow::Result<()> {
    becomes("the number of reservations", ordered.len(), async || {
        Ok(reservations(world, product).await?.len())
    })
    .await?;
    let reservations = reservations(world, product).await?;
    let reservations: BTreeMap<_, _> = reservations
        .into_iter()
        .map(|row| (row.reference.clone(), row))
        .collect();
    for order in ordered {
        let id = order.id.to_string();
        let row = reservations
            .get(&id)
            .with_context(|| format!("{id} has no reservation"))?;
        let confirmed = row.status.as_deref() == Some("CONFIRMED");
        let took = if confirmed { -i64::from(order.qty) } else { 0 };
        ensure!(row.delta == took, "{order:?}: {row:?}");
    }
    Ok(())
}
