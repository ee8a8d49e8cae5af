//! Spans, as a collector gets them; and what log lines say of orders.

mod chain;
mod collector;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{
    Answer, CatalogService, Demo, Http, Kafka, NOWHERE, OrderBody, OrderService, PlaceOrder,
    Process, Signal, World, binary, eventually, free_address,
};
use libtest_mimic::Trial;
use serde_json::Value;
use shared::contract::{OrderId, Status};
use shared::kafka::{OutRecord, record_headers};
use uuid::Uuid;

use self::chain::{CALLER, Chain};
use self::collector::Collector;
use crate::session::{Session, tests, tests_without_world};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests_without_world![session;
        an_order_has_one_trace_in_one_process,
        nothing_is_sent_where_it_is_taken_back,
        a_collector_that_refuses_is_told_of_once,
        a_collector_that_does_not_answer_holds_up_neither_an_order_nor_a_stop,
        a_request_that_fails_is_logged_with_its_order_and_trace,
        dead_letters_are_logged_with_their_order_and_trace,
    ]
}

/// Where every service is a process of its own, the sink included.
pub(crate) fn trials_of_the_worker(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; an_order_has_one_trace_from_its_request_to_its_rows]
}

const STOP_WITHIN: Duration = Duration::from_secs(15);
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Every how many milliseconds spans are exported.
const OFTEN: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "100");

/// The pair under observation.
struct Traced<'a> {
    orders: &'a OrderService,
    catalog: &'a CatalogService,
    kafka: &'a Kafka,
    collector: &'a Collector,
}

/// A trace that nobody else has.
fn new_trace() -> String {
    Uuid::now_v7().simple().to_string()
}

impl Traced<'_> {
    /// Places an order as part of a trace, and waits for its outcome.
    async fn place(&self, trace: &str, flags: &str) -> anyhow::Result<OrderBody> {
        place(self.orders, self.catalog, trace, flags).await
    }

    async fn the_chain_is_complete(&self) -> anyhow::Result<()> {
        let (unsampled, trace) = (new_trace(), new_trace());
        let quiet = self.place(&unsampled, "00").await?;
        let order = self.place(&trace, "01").await?;
        let chain = eventually("every span of the order is exported", async || {
            Chain::of(&self.collector.spans(), &trace, order.id).map(Some)
        })
        .await?;
        chain.is_right(&trace)?;
        let carried = self.carried(order.id).await?;
        ensure!(carried == format!("00-{trace}-{}-01", chain.created.id));
        // It was done with first, so its spans would be here by now.
        let spans = self.collector.spans();
        let mut stray = spans.iter().filter(|span| span.trace == unsampled);
        ensure!(stray.next().is_none(), "an unsampled order is recorded");
        let carried = self.carried(quiet.id).await?;
        ensure!(carried.starts_with(&format!("00-{unsampled}-")) && carried.ends_with("-00"));
        Ok(())
    }

    /// The `traceparent` of an order's record.
    async fn carried(&self, order: OrderId) -> anyhow::Result<String> {
        let key = order.to_string();
        let is_it = |record: &e2e::Record| record.key.as_deref() == Some(key.as_bytes());
        let record = self.kafka.find("orders", is_it).await?;
        record.headers.get("traceparent").cloned().context("none")
    }
}

async fn place(
    orders: &OrderService,
    catalog: &CatalogService,
    trace: &str,
    flags: &str,
) -> anyhow::Result<OrderBody> {
    catalog.put_product(9_009, "Traced", 1_000).await?;
    let order = PlaceOrder {
        user_id: 9_009,
        product_id: 9_009,
        qty: 1,
        unit_price: 1,
    };
    let request = orders.order(&order).header("Prefer", "wait=30");
    let request = request.header("traceparent", format!("00-{trace}-{CALLER}-{flags}"));
    let placed: OrderBody = Answer::to(request).await?.expect(201)?.json()?;
    assert_eq!(placed.status, Status::Confirmed);
    Ok(placed)
}

async fn an_order_has_one_trace_in_one_process() -> anyhow::Result<()> {
    let (folder, collector) = (tempfile::tempdir()?, Collector::start()?);
    let variables = [(ENDPOINT, &*collector.endpoint), OFTEN];
    let demo = start(folder.path(), &variables).await?;
    let [orders, _] = demo.order_services()?.map(OrderService);
    let traced = Traced {
        orders: &orders,
        catalog: &CatalogService(demo.catalog_service()?),
        kafka: &demo.kafka()?,
        collector: &collector,
    };
    traced.the_chain_is_complete().await?;
    stop(&demo).await?;
    collector.stop().await;
    Ok(())
}

async fn an_order_has_one_trace_from_its_request_to_its_rows(world: &World) -> anyhow::Result<()> {
    let collector = Collector::start()?;
    export(world, Some(&collector.endpoint)).await?;
    let traced = Traced {
        orders: &world.orders[0],
        catalog: &world.catalog,
        kafka: &world.kafka,
        collector: &collector,
    };
    let complete = traced.the_chain_is_complete().await;
    // What is recorded before a stop is exported by it, however long the delay.
    let trace = new_trace();
    let placed = traced.place(&trace, "01").await;
    export(world, None).await?;
    complete?;
    let order = placed?.id;
    Chain::of(&collector.spans(), &trace, order)?.is_right(&trace)?;
    collector.stop().await;
    Ok(())
}

/// Restarts one of each service, with a collector or without.
async fn export(world: &World, endpoint: Option<&str>) -> anyhow::Result<()> {
    let sink = world.sink.process.as_ref().context("no process")?;
    let (orders, catalog) = (
        world.process("order-service-a")?,
        world.process("catalog-service")?,
    );
    for process in [orders, catalog, sink] {
        stop_process(process).await?;
        process.set(ENDPOINT, endpoint)?;
    }
    world.sink.start().await?;
    for (process, http) in [(catalog, &*world.catalog), (orders, &*world.orders[0])] {
        process.start_again()?;
        process.complete(http).await?;
    }
    Ok(())
}

async fn nothing_is_sent_where_it_is_taken_back() -> anyhow::Result<()> {
    let (folder, collector) = (tempfile::tempdir()?, Collector::start()?);
    let off = ("OTEL_SDK_DISABLED", "true");
    let variables = [(ENDPOINT, &*collector.endpoint), OFTEN, off];
    let demo = start(folder.path(), &variables).await?;
    place_in(&demo, &new_trace()).await?;
    stop(&demo).await?;
    assert_eq!(collector.requests(), 0);
    collector.stop().await;
    Ok(())
}

async fn a_collector_that_refuses_is_told_of_once() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let nobody = format!("http://{NOWHERE}");
    let demo = start(folder.path(), &[(ENDPOINT, &*nobody), OFTEN]).await?;
    let warnings = || anyhow::Ok(demo.process.output()?.matches("are not exported").count());
    place_in(&demo, &new_trace()).await?;
    // Of the order-service that has taken it, the catalog-service and the sink.
    eventually("each service has said so", async || {
        Ok((warnings()? == 3).then_some(()))
    })
    .await?;
    place_in(&demo, &new_trace()).await?;
    // Which tries it again.
    stop(&demo).await?;
    assert_eq!(warnings()?, 3);
    Ok(())
}

async fn a_collector_that_does_not_answer_holds_up_neither_an_order_nor_a_stop()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // Connections are made, and nobody takes them.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", silent.local_addr()?);
    let narrow = ("OTEL_BSP_MAX_QUEUE_SIZE", "1");
    let demo = start(folder.path(), &[(ENDPOINT, &*endpoint), OFTEN, narrow]).await?;
    for _ in 0..3 {
        place_in(&demo, &new_trace()).await?;
    }
    stop(&demo).await?;
    let output = demo.process.output()?;
    // Of the order-service that has taken them, the catalog-service and the sink.
    assert_eq!(output.matches("SpanDroppingStarted").count(), 3, "{output}");
    Ok(())
}

async fn a_request_that_fails_is_logged_with_its_order_and_trace() -> anyhow::Result<()> {
    let (folder, address) = (tempfile::tempdir()?, free_address()?.to_string());
    let mut command = binary("order-service")?;
    for (setting, value) in [
        ("HTTP__BIND", &*address),
        ("KAFKA__BOOTSTRAP_SERVERS", NOWHERE),
        ("DATABASE__URL", "sqlite::memory:"),
        ("PUBLISHER__DEADLINE_MS", "200"),
        ("LOG__FORMAT", "json"),
    ] {
        command.env(format!("ORDER_SERVICE__{setting}"), value);
    }
    let process = Process::start("order-service", command, folder.path())?;
    let http = Http::new(&format!("http://{address}"))?;
    process.readiness(&http, "unready").await?;
    let order = PlaceOrder {
        user_id: 1,
        product_id: 1,
        qty: 1,
        unit_price: 1,
    };
    let trace = new_trace();
    let request = OrderService(http).order(&order);
    let request = request.header("traceparent", format!("00-{trace}-{CALLER}-01"));
    Answer::to(request).await?.expect(503)?;
    let output = process.output()?;
    let lines = output.lines().map(serde_json::from_str::<Value>);
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let failed = lines
        .iter()
        .find(|line| line["message"] == "request failed");
    let failed = failed.context("no line")?;
    assert_eq!(failed["trace_id"], *trace);
    let order_id = failed["order_id"].as_str().unwrap_or_default();
    order_id.parse::<OrderId>()?;
    stop_process(&process).await
}

async fn dead_letters_are_logged_with_their_order_and_trace() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = start(folder.path(), &[]).await?;
    let (order, trace) = (place_in(&demo, &new_trace()).await?, new_trace());
    let (id, headers) = (
        order.to_string(),
        record_headers("e2e", &format!("00-{trace}-{CALLER}-01")),
    );
    // Of another product than was reserved; and no envelope.
    let release = format!(r#"{{"order_id":"{id}","product_id":1,"kind":"release","delta":1}}"#);
    for (topic, key, payload) in [
        ("catalog_deltas", "1", &*release),
        ("orders", &*id, "garbage"),
    ] {
        let record = OutRecord {
            topic: topic.to_owned(),
            partition: None,
            key: Some(key.into()),
            payload: Some(payload.into()),
            timestamp: None,
            headers: headers.clone(),
        };
        demo.kafka()?.produce_record(&record).await?;
    }
    for said in ["to the dead letters", "to the dead-letter topic"] {
        eventually("the line about it", async || {
            let output = demo.process.output()?;
            let mut lines = output.lines().filter(|line| line.contains(said));
            let tells = |line: &str| line.contains(&trace) && line.contains(&id);
            Ok(lines.any(tells).then_some(()))
        })
        .await?;
    }
    stop(&demo).await
}

async fn start(folder: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Demo> {
    Demo::start_with(&folder.join("data"), folder, variables).await
}

/// Places an order and waits for its outcome.
async fn place_in(demo: &Demo, trace: &str) -> anyhow::Result<OrderId> {
    let [orders, _] = demo.order_services()?.map(OrderService);
    let catalog = CatalogService(demo.catalog_service()?);
    Ok(place(&orders, &catalog, trace, "01").await?.id)
}

async fn stop(demo: &Demo) -> anyhow::Result<()> {
    stop_process(&demo.process).await
}

async fn stop_process(process: &Process) -> anyhow::Result<()> {
    let status = process.stop(Signal::Terminate, STOP_WITHIN).await?;
    ensure!(status.success(), "{status}: {}", process.output()?);
    Ok(())
}
