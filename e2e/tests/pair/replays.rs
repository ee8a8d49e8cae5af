//! Facts that arrive again, late or out of order: they change nothing, and no status flaps.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use e2e::{LedgerRow, OrderBody, OrderRow, OutcomeRow, Record, Signal, World, becomes, eventually};
use libtest_mimic::Trial;
use shared::contract::{
    DeltaKind, Order, OrderId, Outcome, ProductId, Reason, Status, Timestamp, UserId,
};

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; old_copies_of_all_its_records_leave_a_cancelled_order_cancelled]
}

/// They take a consumer away.
pub(crate) fn trials_alone(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; a_catalog_service_that_reads_every_delta_again_changes_nothing]
}

/// They need a sink that is a process of ours.
pub(crate) fn trials_of_the_worker(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; a_sink_that_reads_every_record_again_changes_nothing]
}

const STOP_WITHIN: Duration = Duration::from_secs(20);
const STOCK: i64 = 10;
const QTY: i32 = 4;
const TOO_MANY: i32 = 11;

async fn old_copies_of_all_its_records_leave_a_cancelled_order_cancelled(
    world: &World,
) -> anyhow::Result<()> {
    let orders = Decided::new(world).await?;
    let before = orders.rows(world).await?;
    orders
        .never_flap(world, async {
            for topic in ["order_outcomes", "orders", "catalog_deltas"] {
                let mut copies = records_of(world, topic, &orders).await?;
                // The reservation's copy is the last one of all.
                copies.reverse();
                for copy in copies {
                    copy_again(world, topic, &copy).await?;
                }
            }
            orders.catalog_is_past(world).await?;
            sink_is_past(world).await
        })
        .await?;
    assert_eq!(orders.rows(world).await?, before);
    orders.facts_agree(world).await
}

async fn a_catalog_service_that_reads_every_delta_again_changes_nothing(
    world: &World,
) -> anyhow::Result<()> {
    let orders = Decided::new(world).await?;
    let before = orders.rows(world).await?;
    let process = world.process("catalog-service")?;
    orders
        .never_flap(world, async {
            let status = process.stop(Signal::Terminate, STOP_WITHIN).await?;
            ensure!(status.success(), "{}: {status}", process.name());
            world.kafka.delete_groups(&["catalog-service"]).await?;
            process.start_again()?;
            process.complete(&world.catalog).await?;
            orders.catalog_is_past(world).await?;
            sink_is_past(world).await
        })
        .await?;
    assert_eq!(orders.rows(world).await?, before);
    orders.facts_agree(world).await
}

async fn a_sink_that_reads_every_record_again_changes_nothing(world: &World) -> anyhow::Result<()> {
    let orders = Decided::new(world).await?;
    let before = orders.rows(world).await?;
    orders
        .never_flap(world, async {
            world.sink.stop().await?;
            world.kafka.delete_groups(&["connect-orders-sink"]).await?;
            world.sink.start().await?;
            sink_is_past(world).await
        })
        .await?;
    assert_eq!(orders.rows(world).await?, before);
    Ok(())
}

/// Orders of one product on which nothing more is to be decided.
struct Decided {
    product: i64,
    orders: Vec<(OrderBody, Status, Option<Reason>)>,
}

/// All that is stored of them.
#[derive(Debug, PartialEq)]
struct Rows {
    movements: Vec<Vec<LedgerRow>>,
    orders: Vec<Option<OrderRow>>,
    outcomes: Vec<Vec<OutcomeRow>>,
}

impl Decided {
    /// One that is confirmed, one cancelled, one rejected, and one cancelled after that.
    async fn new(world: &World) -> anyhow::Result<Self> {
        let product = world.new_product(STOCK).await?;
        let place = async |qty| {
            let order = world.new_order(product, qty);
            world.orders[0].place_and_wait(&order).await
        };
        let confirmed = place(1).await?;
        let cancelled = place(QTY).await?;
        let rejected = place(TOO_MANY).await?;
        let refused = place(TOO_MANY).await?;
        for order in [&cancelled, &refused] {
            world.orders[1].cancel(order.id).await?.expect(202)?;
        }
        let out_of_stock = Some(Reason::OutOfStock);
        let decided = Self {
            product,
            orders: vec![
                (confirmed, Status::Confirmed, None),
                (cancelled, Status::Cancelled, None),
                (rejected, Status::Rejected, out_of_stock),
                (refused, Status::Rejected, out_of_stock),
            ],
        };
        decided.is_written(world).await?;
        Ok(decided)
    }

    async fn is_written(&self, world: &World) -> anyhow::Result<()> {
        becomes("the numbers of movements", vec![1, 2, 1, 2], async || {
            let rows = self.rows(world).await?;
            Ok(rows.movements.iter().map(Vec::len).collect())
        })
        .await?;
        becomes("the numbers of outcomes", vec![1, 2, 1, 1], async || {
            let rows = self.rows(world).await?;
            Ok(rows.outcomes.iter().map(Vec::len).collect())
        })
        .await?;
        becomes("every order is written", true, async || {
            let rows = self.rows(world).await?;
            Ok(rows.orders.iter().all(Option::is_some))
        })
        .await?;
        eventually("every instance shows their statuses", async || {
            self.check(world).await.map(Some)
        })
        .await
    }

    async fn rows(&self, world: &World) -> anyhow::Result<Rows> {
        let mut rows = Rows {
            movements: Vec::new(),
            orders: Vec::new(),
            outcomes: Vec::new(),
        };
        for (order, ..) in &self.orders {
            let mut movements = world.catalog_database.movements(order.id).await?;
            movements.sort_by(|a, b| a.kind.cmp(&b.kind));
            let mut outcomes = world.orders_database.outcomes(order.id).await?;
            outcomes.sort_by(|a, b| a.id.cmp(&b.id));
            rows.movements.push(movements);
            rows.outcomes.push(outcomes);
            rows.orders
                .push(world.orders_database.order(order.id).await?);
        }
        Ok(rows)
    }

    async fn check(&self, world: &World) -> anyhow::Result<()> {
        for service in &world.orders {
            for (order, status, reason) in &self.orders {
                let found = service.order_by_id(order.id).await?;
                ensure!(
                    (found.status, found.reason) == (*status, *reason),
                    "{found:?}"
                );
            }
        }
        Ok(())
    }

    /// Does something and looks at every status all the while, and once more after it.
    async fn never_flap(
        &self,
        world: &World,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let watch = async {
            loop {
                self.check(world).await?;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            done = work => done?,
            flapped = watch => return flapped,
        }
        self.check(world).await
    }

    /// An order of the same product is decided after all that was sent before it.
    async fn catalog_is_past(&self, world: &World) -> anyhow::Result<()> {
        let last = world.new_order(self.product, 1);
        let last = world.orders[0].place_and_wait(&last).await?;
        ensure!(last.status == Status::Confirmed, "{last:?}");
        // One of the confirmed order, one of this.
        assert_eq!(world.catalog.stock(self.product).await?, STOCK - 2);
        Ok(())
    }

    /// However many copies a fact has, they are one.
    async fn facts_agree(&self, world: &World) -> anyhow::Result<()> {
        let facts = records_of(world, "order_outcomes", self).await?;
        let mut texts: Vec<_> = facts.iter().map(Record::text).collect();
        ensure!(texts.len() > 5, "nothing was repeated: {texts:?}");
        texts.sort();
        texts.dedup();
        ensure!(texts.len() == 5, "{texts:?}");
        Ok(())
    }
}

async fn records_of(world: &World, topic: &str, orders: &Decided) -> anyhow::Result<Vec<Record>> {
    let ids: Vec<_> = orders
        .orders
        .iter()
        .map(|(order, ..)| order.id.to_string())
        .collect();
    let mut records = world.kafka.read_all(topic).await?;
    records.retain(|record| ids.iter().any(|id| record.text().contains(id)));
    ensure!(!records.is_empty(), "{topic} has none of {ids:?}");
    Ok(records)
}

async fn copy_again(world: &World, topic: &str, record: &Record) -> anyhow::Result<()> {
    let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
    let (partition, value) = (Some(record.partition), record.value.as_deref());
    world.kafka.produce(topic, partition, &key, value).await?;
    Ok(())
}

/// Sends one more record to every partition and waits until the sink has written it, and so
/// all that is before it.
async fn sink_is_past(world: &World) -> anyhow::Result<()> {
    let mut last = Vec::new();
    for partition in world.kafka.partitions("orders")? {
        let order = order_of_nobody(world);
        let (key, value) = (order.id.to_string(), order.encode());
        let value = Some(value.as_slice());
        world
            .kafka
            .produce("orders", Some(partition), &key, value)
            .await?;
        last.push(order.id);
    }
    for id in last {
        eventually("the last order of a partition is written", async || {
            Ok(world.orders_database.order(id).await?.map(drop))
        })
        .await?;
    }
    let mut last = Vec::new();
    for partition in world.kafka.partitions("order_outcomes")? {
        let outcome = outcome_of_nothing();
        let (key, value) = (outcome.order_id.to_string(), outcome.encode());
        let value = Some(value.as_slice());
        world
            .kafka
            .produce("order_outcomes", Some(partition), &key, value)
            .await?;
        last.push(outcome.order_id);
    }
    for id in last {
        becomes(
            "the last outcome of a partition is written",
            1,
            async || Ok(world.orders_database.outcomes(id).await?.len()),
        )
        .await?;
    }
    Ok(())
}

fn order_of_nobody(world: &World) -> Order {
    Order {
        id: OrderId::random(),
        user_id: UserId(world.unique()),
        product_id: ProductId(world.unique()),
        qty: 1,
        unit_price: 1,
        total_price: 1,
        created_at: Timestamp::now(),
        idempotency_key: None,
    }
}

fn outcome_of_nothing() -> Outcome {
    Outcome {
        order_id: OrderId::random(),
        kind: DeltaKind::Reserve,
        status: Status::Confirmed,
        reason: None,
        decided_at: Timestamp::now(),
    }
}
