//! What the services say of their records, held against the records.

use std::sync::Arc;

use anyhow::{Context, ensure};
use e2e::{Answer, Http, OrderBody, Record, World};
use jsonschema::Validator;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use shared::contract::Status;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        records_are_as_the_services_describe_them,
        records_of_other_shapes_are_not_as_the_services_describe_them,
    ]
}

/// One service's document, and its channel of a message.
struct Described {
    document: Value,
    channel: &'static str,
    message: &'static str,
}

impl Described {
    async fn by(http: &Http, channel: &'static str, message: &'static str) -> anyhow::Result<Self> {
        let answer = Answer::to(http.get("/asyncapi.json")).await?.expect(200)?;
        let document: Value = answer.json()?;
        let messages = &document["channels"][channel]["messages"];
        ensure!(messages.get(message).is_some(), "{channel}: {messages}");
        Ok(Self {
            document,
            channel,
            message,
        })
    }

    fn topic(&self) -> anyhow::Result<&str> {
        let address = self.document["channels"][self.channel]["address"].as_str();
        address.context("a channel has an address")
    }

    /// Of a part of the message.
    fn validator(&self, part: &str) -> anyhow::Result<Validator> {
        let schema = json!({
            "$ref": format!("#/components/messages/{}/{part}", self.message),
            "components": self.document["components"],
        });
        let options = jsonschema::options().should_validate_formats(true);
        Ok(options.build(&schema)?)
    }

    fn check(&self, part: &str, value: &Value) -> anyhow::Result<()> {
        let result = self.validator(part)?.validate(value);
        let of = self.message;
        result.map_err(|error| anyhow::anyhow!("{part} of {of} {value}: {error}"))
    }

    /// Headers, and key and value where they are described.
    fn check_record(&self, record: &Record) -> anyhow::Result<()> {
        self.check("headers", &json!(record.headers))?;
        let message = &self.document["components"]["messages"][self.message];
        if message.get("payload").is_some() {
            self.check("payload", &serde_json::from_str(&record.text())?)?;
            let key = record.key.clone().context("a record has a key")?;
            self.check("bindings/kafka/key", &String::from_utf8(key)?.into())?;
        }
        Ok(())
    }

    async fn records(&self, world: &World, key: &str) -> anyhow::Result<Vec<Record>> {
        let mut records = world.kafka.read_all(self.topic()?).await?;
        records.retain(|record| record.key.as_deref() == Some(key.as_bytes()));
        Ok(records)
    }
}

/// Confirmed, rejected, cancelled; with a key and without.
async fn orders_of_every_fate(world: &World, product: i64) -> anyhow::Result<[OrderBody; 3]> {
    let service = &world.orders[0];
    let confirmed = service.order(&world.new_order(product, 2));
    let confirmed = confirmed
        .header("Prefer", "wait=30")
        .header("Idempotency-Key", format!("key-{product}"));
    let confirmed: OrderBody = Answer::to(confirmed).await?.expect(201)?.json()?;
    ensure!(confirmed.status == Status::Confirmed, "{confirmed:?}");
    let rejected = service
        .place_and_wait(&world.new_order(product, 9_999))
        .await?;
    ensure!(rejected.status == Status::Rejected, "{rejected:?}");
    let cancelled = service.place_and_wait(&world.new_order(product, 1)).await?;
    service.cancel(cancelled.id).await?.expect(202)?;
    // Behind the release in the product's partition.
    service.place_and_wait(&world.new_order(product, 1)).await?;
    Ok([confirmed, rejected, cancelled])
}

async fn records_are_as_the_services_describe_them(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let poison = format!("poison-{product}");
    let kafka = &world.kafka;
    kafka
        .produce("catalog_deltas", None, &poison, Some(b"garbage"))
        .await?;
    let fates = orders_of_every_fate(world, product).await?;
    let keys = fates.map(|order| order.id.to_string());
    let (placing, deciding) = (&*world.orders[0], &*world.catalog);

    let orders = Described::by(placing, "orders", "Order").await?;
    let outcomes = Described::by(deciding, "order_outcomes", "Outcome").await?;
    for key in &keys {
        for described in [&orders, &outcomes] {
            let records = described.records(world, key).await?;
            ensure!(!records.is_empty(), "{} {key}", described.channel);
            records
                .iter()
                .try_for_each(|record| described.check_record(record))?;
        }
    }
    let deltas = Described::by(placing, "catalog_deltas", "Delta").await?;
    let records = deltas.records(world, &product.to_string()).await?;
    assert_eq!(records.len(), 5, "reservations and a release");
    records
        .iter()
        .try_for_each(|record| deltas.check_record(record))?;
    let letters = Described::by(deciding, "dead_letters", "DeadLetter").await?;
    let of_poison = |record: &Record| record.key.as_deref() == Some(poison.as_bytes());
    letters.check_record(&kafka.find(letters.topic()?, of_poison).await?)
}

async fn records_of_other_shapes_are_not_as_the_services_describe_them(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.orders[0]
        .place_and_wait(&world.new_order(product, 2))
        .await?;
    let (id, product) = (order.id.to_string(), product.to_string());
    let (placing, deciding) = (&*world.orders[0], &*world.catalog);
    let orders = Described::by(placing, "orders", "Order").await?;
    let outcomes = Described::by(deciding, "order_outcomes", "Outcome").await?;
    let deltas = Described::by(deciding, "catalog_deltas", "Delta").await?;
    let order = &orders.records(world, &id).await?[0];
    let outcome = &outcomes.records(world, &id).await?[0];
    let delta = &deltas.records(world, &product).await?[0];
    refuses_what_is_wrong(&orders, order, |value| {
        vec![
            with(value, "/payload/qty", json!(0)),
            with(value, "/payload/qty", json!("2")),
            with(value, "/payload/id", json!("no id")),
            with(value, "/payload/idempotency_key", json!(7)),
            with(value, "/payload/created_at", json!("2026-11-24T00:00:00Z")),
            with(value, "/schema/name", json!("order")),
            with(value, "/payload", json!({})),
            value["payload"].clone(),
        ]
    })?;
    refuses_what_is_wrong(&outcomes, outcome, |value| {
        vec![
            with(value, "/payload/status", json!("PENDING")),
            with(value, "/payload/reason", json!("WHY_NOT")),
            with(value, "/payload/id", json!("no id")),
            with(value, "/schema/fields/0/optional", json!(true)),
        ]
    })?;
    refuses_what_is_wrong(&deltas, delta, |value| {
        let mut unknown = value.clone();
        unknown["colour"] = json!("red");
        vec![
            with(value, "/kind", json!("refund")),
            with(value, "/delta", json!(10_001)),
            with(value, "/product_id", json!(0)),
            unknown,
        ]
    })
}

/// `record`, but for its value or a header.
fn refuses_what_is_wrong(
    described: &Described,
    record: &Record,
    damage: impl Fn(&Value) -> Vec<Value>,
) -> anyhow::Result<()> {
    for value in damage(&serde_json::from_str(&record.text())?) {
        let passed = described.check("payload", &value).is_ok();
        ensure!(!passed, "{} is described as {value}", described.channel);
    }
    for header in ["traceparent", "content-type", "producer"] {
        let mut headers = record.headers.clone();
        headers.remove(header);
        let passed = described.check("headers", &json!(headers)).is_ok();
        ensure!(!passed, "{} without {header}", described.channel);
    }
    Ok(())
}

fn with(value: &Value, at: &str, other: Value) -> Value {
    let mut value = value.clone();
    if let Some(place) = value.pointer_mut(at) {
        *place = other;
    }
    value
}
