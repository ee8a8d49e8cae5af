use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{CatalogService, Demo, OrderService, PlaceOrder, Signal, binary, eventually, run_to_end};
use libtest_mimic::Trial;
use serde_json::Value;
use shared::contract::Status;

use crate::session::{Session, tests_without_world};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests_without_world![session;
        the_demo_is_ready_soon_and_stops_on_ctrl_c,
        the_curls_of_the_demo_work_as_printed,
        the_demo_keeps_orders_and_stock_in_its_data_folder,
        a_taken_port_stops_the_demo_and_is_named,
        the_demo_explains_itself,
    ]
}

/// It aims at 2 s; a busy machine gets more.
const READY_WITHIN: Duration = Duration::from_secs(5);
const STOP_WITHIN: Duration = Duration::from_secs(10);

async fn stop(demo: &Demo) -> anyhow::Result<()> {
    let status = demo.process.stop(Signal::Interrupt, STOP_WITHIN).await?;
    ensure!(status.success(), "{status}: {}", demo.process.output()?);
    Ok(())
}

async fn the_demo_is_ready_soon_and_stops_on_ctrl_c() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = Demo::start(&folder.path().join("data"), folder.path()).await?;
    ensure!(
        demo.ready_after < READY_WITHIN,
        "ready after {:?}",
        demo.ready_after
    );
    stop(&demo).await
}

async fn the_curls_of_the_demo_work_as_printed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = Demo::start(&folder.path().join("data"), folder.path()).await?;
    let [place, list, stock] = demo.curls()[..] else {
        anyhow::bail!("three: {:?}", demo.curls())
    };
    let placed = shell(place)?;
    assert_eq!(placed["status"], "CONFIRMED", "{placed}");
    // The sink may still be writing.
    eventually("the order is listed", async || {
        let listed = shell(list)?;
        Ok((listed["items"][0]["id"] == placed["id"]).then_some(()))
    })
    .await?;
    let stock = shell(stock)?;
    assert_eq!(stock["product_id"], placed["product_id"], "{stock}");
    stop(&demo).await
}

/// What a command prints that was pasted into a terminal.
fn shell(command: &str) -> anyhow::Result<Value> {
    let output = Command::new("sh").args(["-c", command]).output()?;
    let code = output.status.code();
    ensure!(
        code != Some(127),
        "curl is not installed, and the demo tells its user to use it"
    );
    ensure!(output.status.success(), "{command}: {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{command}: no JSON"))
}

async fn the_demo_keeps_orders_and_stock_in_its_data_folder() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let first = Demo::start(&data, folder.path()).await?;
    let [orders, _] = first.order_services()?;
    let catalog = CatalogService(first.catalog_service()?);
    catalog.put_product(77, "Cup", 10).await?.expect(201)?;
    let order = PlaceOrder {
        user_id: 77,
        product_id: 77,
        qty: 3,
        unit_price: 1,
    };
    let placed = OrderService(orders).place(&order).await?;
    // No waiting: a stop finishes every order first.
    stop(&first).await?;
    drop(first);
    let second = Demo::start(&data, &data).await?;
    let [orders, _] = second.order_services()?;
    let kept = OrderService(orders).order_by_id(placed.id).await?;
    assert_eq!((kept.qty, kept.status), (3, Status::Confirmed));
    assert_eq!(
        CatalogService(second.catalog_service()?).stock(77).await?,
        7
    );
    stop(&second).await
}

async fn a_taken_port_stops_the_demo_and_is_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let base = port - 2;
    let mut command = binary("demo")?;
    command
        .args(["--base-port", &base.to_string(), "--data-dir"])
        .arg(folder.path());
    let ended = run_to_end(command, READY_WITHIN)?;
    ensure!(!ended.status.success(), "{ended:?}");
    let stderr = ended.stderr.trim();
    // One of the others may be taken as well, by whoever else is at work.
    let named = [1, 2, 3, 11]
        .iter()
        .any(|offset| stderr.contains(&(base + offset).to_string()));
    ensure!(named && stderr.contains("--base-port"), "{stderr}");
    ensure!(stderr.lines().count() == 1, "not one sentence: {stderr}");
    Ok(())
}

async fn the_demo_explains_itself() -> anyhow::Result<()> {
    let output = binary("demo")?.arg("--help").output()?;
    let help = String::from_utf8_lossy(&output.stdout);
    for option in ["--kafka", "--data-dir", "--base-port"] {
        ensure!(help.contains(option), "{option}: {help}");
    }
    Ok(())
}
