//! What only the containers of docker-compose.yml can show.

mod traffic;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Answer, Compose, Http, OrderBody, World, becomes};
use libtest_mimic::Trial;
use serde_json::Value;
use shared::contract::Status;
use tokio::time::timeout;

use self::traffic::{Tolerance, Traffic};
use crate::session::{Session, tests};

/// In this order: a clean start also wipes what the tests before have put on the topics by hand,
/// which `verify` would not excuse.
pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        the_containers_are_locked_down,
        requests_are_spread_over_the_replicas,
        down_with_volumes_and_up_start_clean,
        killed_order_services_lose_nothing,
        killed_catalog_services_lose_nothing,
        a_killed_sink_loses_nothing,
        a_killed_broker_loses_nothing,
        a_killed_database_loses_nothing,
        a_killed_gateway_loses_nothing,
        a_killed_console_loses_nothing,
        connect_is_told_again_after_it_has_lost_its_topics,
        scaling_out_and_in_fails_no_request_but_by_503,
        new_images_replace_old_ones_and_nothing_is_lost,
        down_and_up_keep_everything,
    ]
}

const SERVICES: [&str; 7] = [
    "order-service",
    "catalog-service",
    "console",
    "connect",
    "kafka",
    "database",
    "gateway",
];
/// Orders that are acknowledged before something happens to the pair, and after it.
const SOME: usize = 100;
/// What an image of ours may take, in bytes.
const SMALL: u64 = 100_000_000;
/// From Connect's first answer to a running connector.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

async fn the_containers_are_locked_down(world: &World) -> anyhow::Result<()> {
    let compose = world.compose()?;
    let config: Value = serde_json::from_str(&compose.run("config --format json").await?)?;
    let services = config["services"].as_object().context("services")?;
    ensure!(SERVICES.iter().all(|name| services.contains_key(*name)));
    for (name, service) in services {
        ensure!(service["read_only"] == true, "{name}: root file system");
        ensure!(service["cap_drop"][0] == "ALL", "{name}: capabilities");
        ensure!(service["mem_limit"].is_string(), "{name}: memory");
        for port in service["ports"].as_array().into_iter().flatten() {
            ensure!(port["host_ip"] == "127.0.0.1", "{name}: {port}");
        }
    }
    for name in SERVICES {
        let user = compose.run(&format!("exec -T {name} id -u")).await;
        // Ours have no program `id`; their user is in the image.
        ensure!(user.is_err() || user?.trim() != "0", "{name} runs as root");
    }
    for image in [
        "order-service",
        "catalog-service",
        "connect-worker",
        "console",
        "verify",
    ] {
        let what = inspect(&format!("pair/{image}"))?;
        ensure!(what["Config"]["User"] == "65532", "{image}: its user");
        let size = what["Size"].as_u64().context("Size")?;
        ensure!(size < SMALL, "{image} has {size} bytes");
        let labels = &what["Config"]["Labels"];
        ensure!(
            labels["org.opencontainers.image.title"] == image,
            "{labels}"
        );
        ensure!(labels["org.opencontainers.image.version"].is_string());
    }
    Ok(())
}

fn inspect(image: &str) -> anyhow::Result<Value> {
    let mut docker = std::process::Command::new("docker");
    let output = docker.args(["image", "inspect", image]).output()?;
    let mut images: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    images
        .pop()
        .with_context(|| format!("there is no image {image}"))
}

async fn requests_are_spread_over_the_replicas(world: &World) -> anyhow::Result<()> {
    for service in [&*world.orders[0], &*world.catalog] {
        // Of two in turn, every second answer is the same replica's, who has counted one more.
        let counts = [
            metrics_asked(service).await?,
            metrics_asked(service).await?,
            metrics_asked(service).await?,
        ];
        ensure!(counts[2] == counts[0] + 1, "one replica alone: {counts:?}");
    }
    Ok(())
}

/// How often the replica that answers was asked for its metrics before.
async fn metrics_asked(service: &Http) -> anyhow::Result<u64> {
    let text = Answer::to(service.get("/metrics")).await?.expect(200)?;
    let asked = text.text();
    let mut lines = asked.lines().filter(|line| {
        line.contains("http_requests_total{") && line.contains(r#"route="/metrics""#)
    });
    let count = lines.next().and_then(|line| line.rsplit(' ').next());
    Ok(count.map_or(Ok(0), str::parse)?)
}

async fn down_with_volumes_and_up_start_clean(world: &World) -> anyhow::Result<()> {
    let compose = world.compose()?;
    compose.down_with_volumes().await?;
    compose.up().await?;
    let page = world.orders[0].list("limit=1").await?;
    ensure!(page.items.is_empty(), "{:?}", page.items);
    let product = world.new_product(10).await?;
    let request = world.orders[0]
        .order(&world.new_order(product, 1))
        .header("Prefer", "wait=30");
    let placed: OrderBody = Answer::to(request).await?.expect(201)?.json()?;
    assert_eq!(placed.status, Status::Confirmed);
    becomes("the row", true, async || {
        Ok(world.orders_database.order(placed.id).await?.is_some())
    })
    .await
}

async fn killed_order_services_lose_nothing(world: &World) -> anyhow::Result<()> {
    killed_under_traffic(world, "order-service").await
}

async fn killed_catalog_services_lose_nothing(world: &World) -> anyhow::Result<()> {
    killed_under_traffic(world, "catalog-service").await
}

async fn a_killed_sink_loses_nothing(world: &World) -> anyhow::Result<()> {
    killed_under_traffic(world, "connect").await
}

async fn a_killed_broker_loses_nothing(world: &World) -> anyhow::Result<()> {
    killed_under_traffic(world, "kafka").await
}

async fn a_killed_database_loses_nothing(world: &World) -> anyhow::Result<()> {
    killed_under_traffic(world, "database").await
}

async fn a_killed_gateway_loses_nothing(world: &World) -> anyhow::Result<()> {
    killed_under_traffic(world, "gateway").await
}

async fn a_killed_console_loses_nothing(world: &World) -> anyhow::Result<()> {
    killed_under_traffic(world, "console").await
}

async fn connect_is_told_again_after_it_has_lost_its_topics(world: &World) -> anyhow::Result<()> {
    let compose = world.compose()?;
    let traffic = Traffic::new(world, "forgotten", Tolerance::Refusals).await?;
    let wiping = async {
        traffic.more(SOME).await?;
        compose.run("stop connect").await?;
        becomes("readiness of the sink", false, async || {
            connector_is_up(world).await
        })
        .await?;
        let topics = ["connect_configs", "connect_offsets", "connect_status"];
        world.kafka.delete_topics(&topics).await?;
        compose.up().await?;
        let told = timeout(TOLD_WITHIN, world.sink.reaches("RUNNING"));
        told.await
            .context("Connect answers, and its connector does not run")??;
        becomes("readiness of the sink", true, async || {
            connector_is_up(world).await
        })
        .await?;
        traffic.more(SOME).await
    };
    traffic.during(world, wiping).await?;
    traffic.is_in_the_databases(world).await?;
    verify(compose).await
}

/// As one of the order-services has it.
async fn connector_is_up(world: &World) -> anyhow::Result<bool> {
    let readiness = world.orders[0].readiness().await?;
    Ok(readiness["dependencies"]["sink"]["status"] == "up")
}

/// All of its containers at once, by SIGKILL.
async fn killed_under_traffic(world: &World, service: &'static str) -> anyhow::Result<()> {
    let compose = world.compose()?;
    let traffic = Traffic::new(world, service, Tolerance::Anything).await?;
    let killing = async {
        traffic.more(SOME).await?;
        compose.run(&format!("kill {service}")).await?;
        compose.up().await?;
        traffic.more(SOME).await
    };
    traffic.during(world, killing).await?;
    traffic.is_in_the_databases(world).await?;
    verify(compose).await
}

async fn scaling_out_and_in_fails_no_request_but_by_503(world: &World) -> anyhow::Result<()> {
    let compose = world.compose()?;
    let traffic = Traffic::new(world, "scaled", Tolerance::Refusals).await?;
    let scale = async |replicas: usize| {
        traffic.more(SOME).await?;
        let up = "up --detach --wait --no-build --no-recreate --scale order-service=";
        compose.run(&format!("{up}{replicas}")).await?;
        let running = compose.run("ps --quiet order-service").await?;
        ensure!(running.lines().count() == replicas, "{running}");
        traffic.more(SOME).await
    };
    let scaling = async {
        for replicas in [1, 3, 1] {
            scale(replicas).await?;
        }
        compose.up().await
    };
    traffic.during(world, scaling).await?;
    traffic.is_in_the_databases(world).await?;
    verify(compose).await
}

async fn new_images_replace_old_ones_and_nothing_is_lost(world: &World) -> anyhow::Result<()> {
    let compose = world.compose()?;
    let traffic = Traffic::new(world, "rebuilt", Tolerance::Refusals).await?;
    let old = compose
        .run("ps --quiet order-service catalog-service")
        .await?;
    let replacing = async {
        traffic.more(SOME).await?;
        let version = [("VERSION", "0.0.0-next")];
        compose
            .run_with("up --detach --wait --build", &version)
            .await?;
        traffic.more(SOME).await
    };
    traffic.during(world, replacing).await?;
    let new = compose
        .run("ps --quiet order-service catalog-service")
        .await?;
    ensure!(
        new.lines().all(|id| !old.contains(id)),
        "not replaced: {old}{new}"
    );
    traffic.is_in_the_databases(world).await?;
    verify(compose).await
}

async fn down_and_up_keep_everything(world: &World) -> anyhow::Result<()> {
    let compose = world.compose()?;
    let product = world.new_product(10).await?;
    let placed = world.orders[0]
        .place_and_wait(&world.new_order(product, 3))
        .await?;
    compose.down().await?;
    compose.up().await?;
    let found = world.orders[0].order_by_id(placed.id).await?;
    assert_eq!(found, placed);
    assert_eq!(world.catalog.stock(product).await?, 7);
    verify(compose).await
}

/// As a container beside the pair, with what the clients were told.
async fn verify(compose: &Compose) -> anyhow::Result<()> {
    compose.run("run --rm -T verify").await.map(drop)
}
