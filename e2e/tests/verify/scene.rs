//! A small pair that has done everything right, as records, rows and answers; a test spoils it
//! before it is written down.

use std::path::{Path, PathBuf};

use e2e::{Answered, Kafka, Pair, Progress, Recorder, Report, Topics, verify};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use shared::contract::{
    Delta, DeltaKind, Order, OrderId, Outcome, ProductId, Reason, Status, Timestamp, UserId,
};
use shared::kafka::KafkaSettings;

pub(crate) const PRODUCT: i64 = 7;
const INITIAL: i64 = 100;
const RESTOCKED: i64 = 10;

/// A row of `stock_ledger`.
#[derive(Debug, Clone)]
pub(crate) struct LedgerRow {
    pub(crate) reference: String,
    pub(crate) kind: &'static str,
    pub(crate) delta: i64,
    pub(crate) decision: Option<(Status, Option<Reason>)>,
    pub(crate) decided_at: Timestamp,
}

pub(crate) struct Scene {
    pub(crate) orders: Vec<Order>,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) dead_deltas: Vec<Delta>,
    /// Dead letters of the sink.
    pub(crate) dead_orders: Vec<Order>,
    pub(crate) dead_outcomes: Vec<Outcome>,
    pub(crate) order_rows: Vec<Order>,
    pub(crate) outcome_rows: Vec<Outcome>,
    pub(crate) ledger: Vec<LedgerRow>,
    pub(crate) stock: i64,
    pub(crate) answers: Vec<Answered>,
}

impl Scene {
    /// Orders 0 to 3: confirmed; rejected; cancelled; placed twice with one key.
    pub(crate) fn healthy() -> Self {
        let mut scene = Self {
            orders: Vec::new(),
            deltas: Vec::new(),
            outcomes: Vec::new(),
            dead_deltas: Vec::new(),
            dead_orders: Vec::new(),
            dead_outcomes: Vec::new(),
            order_rows: Vec::new(),
            outcome_rows: Vec::new(),
            ledger: Vec::new(),
            stock: INITIAL + RESTOCKED,
            answers: Vec::new(),
        };
        scene.moves(PRODUCT.to_string(), "initial", INITIAL, None);
        scene.moves(format!("{PRODUCT}:restock"), "adjust", RESTOCKED, None);
        scene.answers.push(Answered::Adjustment {
            status: Some(201),
            product_id: PRODUCT,
            delta: RESTOCKED,
            key: "restock".to_owned(),
        });
        scene.placed(new_order(None), Status::Confirmed, None);
        let no_stock = Some(Reason::OutOfStock);
        scene.placed(new_order(None), Status::Rejected, no_stock);
        scene.placed(new_order(None), Status::Confirmed, None);
        scene.cancelled(2);
        let keyed = new_order(Some("again"));
        scene.placed(keyed.clone(), Status::Confirmed, None);
        scene.orders.push(Order {
            created_at: after(keyed.created_at),
            ..keyed.clone()
        });
        scene.deltas.push(reserve(&keyed));
        let refused = new_order(Some("refused"));
        scene.answers.push(answered(&refused, Some(503)));
        scene
    }

    pub(crate) fn id(&self, order: usize) -> OrderId {
        self.orders[order].id
    }

    /// Whatever was seen of this order is not seen.
    pub(crate) fn forget_decision(&mut self, order: usize) {
        let id = self.id(order);
        self.outcomes.retain(|fact| fact.order_id != id);
        self.outcome_rows.retain(|fact| fact.order_id != id);
        self.ledger.retain(|row| row.reference != id.to_string());
    }

    pub(crate) fn placed(&mut self, order: Order, status: Status, reason: Option<Reason>) {
        let fact = decided(&order, DeltaKind::Reserve, status, reason);
        let taken = match status {
            Status::Confirmed => -i64::from(order.qty),
            _ => 0,
        };
        self.stock += taken;
        let decision = Some((status, reason));
        self.moves(order.id.to_string(), "reserve", taken, decision);
        self.answers.push(answered(&order, Some(201)));
        self.deltas.push(reserve(&order));
        self.outcomes.push(fact);
        self.outcome_rows.push(fact);
        self.order_rows.push(order.clone());
        self.orders.push(order);
    }

    fn cancelled(&mut self, order: usize) {
        let order = self.orders[order].clone();
        let fact = decided(&order, DeltaKind::Release, Status::Cancelled, None);
        let decision = Some((Status::Cancelled, None));
        self.stock += i64::from(order.qty);
        self.moves(order.id.to_string(), "release", order.qty.into(), decision);
        self.deltas.push(release(&order));
        self.outcomes.push(fact);
        self.outcome_rows.push(fact);
        self.answers.push(Answered::Cancel {
            status: Some(202),
            id: order.id,
        });
    }

    pub(crate) fn moves(
        &mut self,
        reference: String,
        kind: &'static str,
        delta: i64,
        decision: Option<(Status, Option<Reason>)>,
    ) {
        self.ledger.push(LedgerRow {
            reference,
            kind,
            delta,
            decision,
            decided_at: moment(),
        });
    }

    /// Writes it down, on topics and into databases of its own.
    pub(crate) async fn written(&self, databases: [&str; 2], folder: &Path) -> Pair {
        let topics = self.on_topics().await;
        self.in_orders_database(databases[0]).await;
        self.in_catalog_database(databases[1]).await;
        Pair {
            kafka: KafkaSettings {
                bootstrap_servers: broker(),
                ..KafkaSettings::default()
            },
            topics,
            orders_database: databases[0].to_owned(),
            catalog_database: databases[1].to_owned(),
            answers: vec![self.in_file(folder).await],
        }
    }

    async fn on_topics(&self) -> Topics {
        let kafka = Kafka::at(&broker());
        let run = OrderId::random();
        let name = |topic: &str| format!("verify-{run}-{topic}");
        let topics = Topics {
            orders: name("orders"),
            catalog_deltas: name("deltas"),
            order_outcomes: name("outcomes"),
            delta_dead_letters: name("dlq"),
            sink_dead_letters: name("sink-dlq"),
        };
        let records = [
            (&topics.orders, encoded(&self.orders, Order::encode)),
            (&topics.catalog_deltas, encoded(&self.deltas, Delta::encode)),
            (
                &topics.order_outcomes,
                encoded(&self.outcomes, Outcome::encode),
            ),
            (
                &topics.delta_dead_letters,
                encoded(&self.dead_deltas, Delta::encode),
            ),
            (
                &topics.sink_dead_letters,
                [
                    encoded(&self.dead_orders, Order::encode),
                    encoded(&self.dead_outcomes, Outcome::encode),
                ]
                .concat(),
            ),
        ];
        // A topic of dead letters is there once there is one.
        for (topic, values) in records.into_iter().filter(|(_, values)| !values.is_empty()) {
            kafka.create_topic(topic, 2).await.unwrap();
            kafka.produce_all(topic, values).await.unwrap();
        }
        topics
    }

    async fn in_orders_database(&self, url: &str) {
        let database = Database::connect(url).await.unwrap();
        migrations::up(&database, migrations::Database::Orders)
            .await
            .unwrap();
        let backend = database.get_database_backend();
        for row in &self.order_rows {
            let values: [(&'static str, Expr); 8] = [
                ("id", row.id.to_string().into()),
                ("user_id", row.user_id.0.into()),
                ("product_id", row.product_id.0.into()),
                ("qty", row.qty.into()),
                ("unit_price", row.unit_price.into()),
                ("total_price", row.total_price.into()),
                ("created_at", Expr::value(row.created_at.to_value(backend))),
                ("idempotency_key", row.idempotency_key.clone().into()),
            ];
            insert(&database, "orders", values).await;
        }
        for row in &self.outcome_rows {
            let reason = row.reason.map(Reason::as_str);
            let values: [(&'static str, Expr); 5] = [
                ("id", row.id().into()),
                ("order_id", row.order_id.to_string().into()),
                ("status", row.status.as_str().into()),
                ("reason", reason.into()),
                ("decided_at", Expr::value(row.decided_at.to_value(backend))),
            ];
            insert(&database, "order_outcomes", values).await;
        }
    }

    async fn in_catalog_database(&self, url: &str) {
        let database = Database::connect(url).await.unwrap();
        migrations::up(&database, migrations::Database::Catalog)
            .await
            .unwrap();
        if self.stock < 0 {
            let allowed = "ALTER TABLE stock DROP CONSTRAINT stock_is_never_negative";
            database.execute_unprepared(allowed).await.unwrap();
        }
        let backend = database.get_database_backend();
        let time = |at: Timestamp| Expr::value(at.to_value(backend));
        let product: [(&'static str, Expr); 5] = [
            ("product_id", PRODUCT.into()),
            ("name", "Cup".into()),
            ("unit_price", 1_200.into()),
            ("qty", self.stock.into()),
            ("updated_at", time(moment())),
        ];
        insert(&database, "stock", product).await;
        for row in &self.ledger {
            let status = row.decision.map(|(status, _)| status.as_str());
            let reason = row.decision.and_then(|(_, reason)| reason);
            let values: [(&'static str, Expr); 7] = [
                ("reference", row.reference.clone().into()),
                ("kind", row.kind.into()),
                ("product_id", PRODUCT.into()),
                ("delta", row.delta.into()),
                ("status", status.into()),
                ("reason", reason.map(Reason::as_str).into()),
                ("decided_at", time(row.decided_at)),
            ];
            insert(&database, "stock_ledger", values).await;
        }
    }

    async fn in_file(&self, folder: &Path) -> PathBuf {
        let path = folder.join("answers.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        for answer in &self.answers {
            recorder.record(answer).await.unwrap();
        }
        path
    }
}

pub(crate) async fn delete(topics: &Topics) {
    let names = [
        &topics.orders,
        &topics.catalog_deltas,
        &topics.order_outcomes,
        &topics.delta_dead_letters,
        &topics.sink_dead_letters,
    ];
    let names = names.map(String::as_str);
    Kafka::at(&broker()).delete_topics(&names).await.unwrap();
}

/// Nobody looks.
pub(crate) struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self) {}
}

pub(crate) async fn report(pair: &Pair) -> Report {
    verify(pair, &Silent).await.unwrap()
}

pub(crate) fn new_order(key: Option<&str>) -> Order {
    let (user, product, qty, price) = (3, PRODUCT, 5, 1_200);
    let keyed = |key: &str| {
        let [user, product, qty, price] = [user, product, qty, price].map(|n: i64| n.to_string());
        OrderId::from_parts(&["v1", &user, key, &product, &qty, &price].map(str::as_bytes))
    };
    Order {
        id: key.map_or_else(OrderId::random, keyed),
        user_id: UserId(user),
        product_id: ProductId(product),
        qty: 5,
        unit_price: price,
        total_price: 5 * price,
        created_at: moment(),
        idempotency_key: key.map(str::to_owned),
    }
}

pub(crate) fn reserve(order: &Order) -> Delta {
    Delta {
        order_id: order.id,
        product_id: order.product_id,
        kind: DeltaKind::Reserve,
        delta: -order.qty,
    }
}

pub(crate) fn release(order: &Order) -> Delta {
    Delta {
        kind: DeltaKind::Release,
        delta: order.qty,
        ..reserve(order)
    }
}

pub(crate) fn answered(order: &Order, status: Option<u16>) -> Answered {
    Answered::Order {
        status,
        id: status.filter(|status| *status < 300).map(|_| order.id),
        user_id: order.user_id.0,
        product_id: order.product_id.0,
        qty: order.qty,
        unit_price: order.unit_price,
        key: order.idempotency_key.clone(),
    }
}

pub(crate) fn after(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.millis() + 1).unwrap()
}

fn decided(order: &Order, kind: DeltaKind, status: Status, reason: Option<Reason>) -> Outcome {
    Outcome {
        order_id: order.id,
        kind,
        status,
        reason,
        decided_at: moment(),
    }
}

fn moment() -> Timestamp {
    Timestamp::from_millis(1_764_000_000_123).unwrap()
}

pub(crate) fn broker() -> String {
    std::env::var("STACK_KAFKA").unwrap_or_else(|_| "127.0.0.1:19092".to_owned())
}

fn encoded<T>(records: &[T], encode: fn(&T) -> Vec<u8>) -> Vec<Vec<u8>> {
    records.iter().map(encode).collect()
}

async fn insert<const N: usize>(
    database: &DatabaseConnection,
    table: &'static str,
    row: [(&'static str, Expr); N],
) {
    let (columns, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
    let query = Query::insert()
        .into_table(table)
        .columns(columns)
        .values(values)
        .unwrap()
        .take();
    database.execute(&query).await.unwrap();
}
