//! What `/metrics` tells, against observability/README.md and against what happens.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use e2e::{Answer, Http, World, becomes, eventually};
use libtest_mimic::Trial;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        every_metric_is_documented_and_every_documented_one_is_there,
        an_order_is_measured_until_it_is_visible,
    ]
}

/// Where Kafka Connect is the sink, and the catalog-service a process that can be killed.
pub(crate) fn trials_alone(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        an_order_is_measured_until_it_is_visible,
        an_undecided_order_gets_older_until_the_catalog_is_back,
    ]
}

const DECIDED: &str = "order_service_order_decision_seconds_count";
const OLDEST: &str = "order_service_oldest_undecided_order_age_seconds";
const VISIBLE: &str = "order_service_order_visible_seconds_count";
const UNITS: [&str; 8] = [
    "_total",
    "_seconds",
    "_records",
    "_size",
    "_depth",
    "_capacity",
    "_connections",
    "_letters",
];

/// Names and types.
type Metrics = BTreeMap<String, String>;

async fn every_metric_is_documented_and_every_documented_one_is_there(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    world.orders[0]
        .place_and_wait(&world.new_order(product, 1))
        .await?;
    for (service, http) in [
        ("order-service", &*world.orders[0]),
        ("catalog-service", &*world.catalog),
        ("connect-worker", &world.sink.http),
    ] {
        // Some are counted by the clock, or once the sink has something to do.
        becomes(service, documented(service)?, async || {
            exposed(&text(http).await?)
        })
        .await?;
    }
    Ok(())
}

fn documented(service: &str) -> anyhow::Result<Metrics> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../observability/README.md");
    let text = std::fs::read_to_string(path)?;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut metrics = Metrics::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [name, kind, _, of, meaning, ..] = cells[..] else {
            anyhow::bail!("not five cells: {row}");
        };
        ensure!(!meaning.is_empty(), "{row}");
        let name = name.trim_end_matches('`');
        ensure!(has_unit(name, kind), "{name}: its unit is not in its name");
        if of == "all" || of.split(", ").any(|one| one == service) {
            metrics.insert(name.to_owned(), kind.to_owned());
        }
    }
    Ok(metrics)
}

/// Counters end in `_total`, the others in what they count or measure; states have no unit.
fn has_unit(name: &str, kind: &str) -> bool {
    let is_state = ["_up", "_state", "_waiting"]
        .iter()
        .any(|end| name.ends_with(end));
    let has_unit = UNITS.iter().any(|unit| name.ends_with(unit));
    (has_unit || is_state) && (kind == "counter") == name.ends_with("_total")
}

fn exposed(text: &str) -> anyhow::Result<Metrics> {
    let mut metrics = Metrics::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').context("a type")?;
        let help = format!("# HELP {name} ");
        ensure!(text.contains(&help), "{name} has no help");
        let end = if kind == "counter" { "_total" } else { "" };
        metrics.insert(format!("{name}{end}"), kind.to_owned());
    }
    Ok(metrics)
}

async fn text(http: &Http) -> anyhow::Result<String> {
    Ok(Answer::to(http.get("/metrics")).await?.expect(200)?.text())
}

/// Of a metric without labels.
async fn value(http: &Http, name: &str) -> anyhow::Result<f64> {
    let text = text(http).await?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let value = lines.next().with_context(|| format!("no {name}: {text}"))?;
    Ok(value.trim().parse()?)
}

async fn an_order_is_measured_until_it_is_visible(world: &World) -> anyhow::Result<()> {
    let product = world.new_product(1_000).await?;
    let before = value(&world.orders[0], VISIBLE).await?;
    // One a second is looked at, and others place orders as well.
    eventually("an order is measured", async || {
        let order = world.new_order(product, 1);
        world.orders[0].place_and_wait(&order).await?;
        Ok((value(&world.orders[0], VISIBLE).await? > before).then_some(()))
    })
    .await
}

async fn an_undecided_order_gets_older_until_the_catalog_is_back(
    world: &World,
) -> anyhow::Result<()> {
    let product = world.new_product(10).await?;
    let order = world.new_order(product, 1);
    let key = format!("undecided-{}", order.user_id);
    let place = || {
        world.orders[0]
            .order(&order)
            .header("Idempotency-Key", &key)
    };
    // Started again, it knows no order older than 30 s: what other tests have sent without a
    // reservation is forgotten in the end.
    let observer = world.process("order-service-b")?;
    becomes("orders that others left undecided", 0.0, async || {
        observer.kill()?;
        observer.start_again()?;
        observer.complete(&world.orders[1]).await?;
        // Once it has read on to this one.
        let latest = world.new_order(world.new_product(1).await?, 1);
        world.orders[1].place_and_wait(&latest).await?;
        value(&world.orders[1], OLDEST).await
    })
    .await?;
    let catalog = world.process("catalog-service")?;
    catalog.kill()?;
    Answer::to(place()).await?.expect(201)?;
    eventually("the order is three seconds old", async || {
        Ok((value(&world.orders[1], OLDEST).await? > 3.0).then_some(()))
    })
    .await?;
    let before = value(&world.orders[1], DECIDED).await?;
    catalog.start_again()?;
    catalog.complete(&world.catalog).await?;
    becomes("undecided orders", 0.0, async || {
        value(&world.orders[1], OLDEST).await
    })
    .await?;
    Answer::to(place()).await?.expect(200)?;
    assert_eq!(value(&world.orders[1], DECIDED).await?, before + 1.0);
    Ok(())
}
