//! The console as a process of its own, beside the pair, as docker-compose.yml runs it.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use e2e::{
    Answer, Http, OrderBody, Process, Signal, World, binary, eventually, free_address, run_to_end,
};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::session::{Session, tests};
use crate::stream::Stream;

/// Its databases are files, which the console finds.
pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        the_page_shows_every_service_and_proves_an_order,
        a_console_without_an_order_service_does_not_start,
    ]
}

const PATIENCE: Duration = Duration::from_secs(20);
const PARTS: [&str; 4] = [
    "order-service-1",
    "order-service-2",
    "catalog-service",
    "sink",
];

fn console(world: &World) -> anyhow::Result<(Command, Http)> {
    let address = free_address()?.to_string();
    let file = |name: &str| {
        let path = world.logs().join("data").join(name);
        format!("sqlite://{}?mode=rw", path.display())
    };
    // A name, where docker-compose.yml has names.
    let by_name = world.orders[0].base().replace("127.0.0.1", "localhost");
    let order_services = format!("{by_name},{}", world.orders[1].base());
    let mut command = binary("console")?;
    for (setting, value) in [
        ("HTTP__BIND", address.as_str()),
        ("ORDER_SERVICES", &order_services),
        ("CATALOG_SERVICE", world.catalog.base()),
        ("CONNECT", world.sink.http.base()),
        ("KAFKA__BOOTSTRAP_SERVERS", world.kafka.bootstrap_servers()),
        ("ORDERS_DATABASE__URL", &file("orders.db")),
        ("CATALOG_DATABASE__URL", &file("catalog.db")),
    ] {
        command.env(format!("CONSOLE__{setting}"), value);
    }
    Ok((command, Http::new(&format!("http://{address}"))?))
}

async fn the_page_shows_every_service_and_proves_an_order(world: &World) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (command, http) = console(world)?;
    let process = Process::start("console", command, folder.path())?;
    process.complete(&http).await?;
    let page = Answer::to(http.get("/")).await?.expect(200)?.text();
    ensure!(page.contains("Orders and stock"), "{page}");

    let mut stream = Stream::open(&http, "/api/stream").await?;
    shows(&mut stream, "all services", |state| {
        let up = |service: &Value| {
            ["ready", "degraded"]
                .iter()
                .any(|up| service["state"] == *up)
        };
        let services = state["services"].as_array();
        let services = services.map(|all| all.iter().filter(|service| up(service)));
        let names = services.map(|up| up.filter_map(|one| one["id"].as_str()).collect::<Vec<_>>());
        let databases = state["databases"].as_array();
        let answer = databases.is_some_and(|all| all.iter().all(|one| one["up"] == true));
        names.is_some_and(|names| names == PARTS) && answer && state["breakable"] == false
    })
    .await?;

    let order = world.new_order(world.new_product(10).await?, 2);
    let answer = Answer::to(http.post("/api/orders").json(&order)).await?;
    let placed: OrderBody = answer.expect(201)?.json()?;
    let id = placed.id.to_string();
    shows(&mut stream, "the order's proof", |state| {
        let orders = state["orders"].as_array().into_iter().flatten();
        let found = orders.into_iter().find(|order| order["id"] == *id);
        found.is_some_and(|order| order["visible"].is_i64() && order["status"] == "CONFIRMED")
            && proves(state, &id)
    })
    .await?;

    let kill = http.post("/api/parts/sink").json(&json!({"do": "kill"}));
    Answer::to(kill).await?.expect(404)?;
    let status = process.stop(Signal::Terminate, PATIENCE).await?;
    ensure!(status.success(), "{status}: {}", process.output()?);
    Ok(())
}

/// Each invariant was checked, and none is violated by this order; others' tests send worse.
fn proves(state: &Value, id: &str) -> bool {
    let lines = state["proof"]["lines"].as_array();
    lines.is_some_and(|lines| {
        lines.iter().all(|line| {
            let checked = line["checked"].as_u64() > Some(0) || line["number"] == 2;
            checked && !line["first"].to_string().contains(id)
        })
    })
}

async fn shows(
    stream: &mut Stream,
    what: &str,
    shown: impl Fn(&Value) -> bool,
) -> anyhow::Result<()> {
    eventually(what, async || {
        let (_, state) = stream.next().await?;
        ensure!(shown(&state), "{state}");
        Ok(Some(()))
    })
    .await
}

async fn a_console_without_an_order_service_does_not_start(world: &World) -> anyhow::Result<()> {
    for (setting, value) in [("ORDER_SERVICES", ""), ("CATALOG_SERVICE", "8082")] {
        let (mut command, _) = console(world)?;
        command.env(format!("CONSOLE__{setting}"), value);
        let ended = run_to_end(command, PATIENCE)?;
        let named = ended.stderr.contains(&setting.to_lowercase());
        ensure!(!ended.status.success() && named, "{ended:?}");
    }
    Ok(())
}
