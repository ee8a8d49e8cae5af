use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use e2e::{Answer, Http, OrderBody, PATIENCE, Process, Signal, World, becomes, within};
use libtest_mimic::Trial;
use shared::contract::Status;

use crate::load::{Load, Tolerance};
use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        nothing_is_lost_or_doubled_whatever_is_killed_in_mid_stream,
        an_order_service_restarts_gracefully_in_mid_stream,
        a_request_in_flight_is_answered_before_a_stop,
        a_catalog_service_restarts_gracefully_in_mid_stream,
        of_two_order_services_with_one_instance_id_one_gives_up,
    ]
}

const ORDERS: usize = 600;
const STOP_WITHIN: Duration = Duration::from_secs(15);

async fn nothing_is_lost_or_doubled_whatever_is_killed_in_mid_stream(
    world: &World,
) -> anyhow::Result<()> {
    let load = Load::new(world, ORDERS).await?;
    let instances = [world.orders[0].0.clone(), world.orders[1].0.clone()];
    // Of each third that is let go, half is still to be placed when something is killed.
    load.release(ORDERS / 3);
    let killing = async {
        load.acknowledged(ORDERS / 6).await?;
        kill_and_restart(world.process("order-service-a")?, &world.orders[0]).await?;
        load.release(ORDERS * 2 / 3);
        load.acknowledged(ORDERS / 2).await?;
        kill_and_restart(world.process("catalog-service")?, &world.catalog).await?;
        load.release(ORDERS);
        load.acknowledged(ORDERS * 5 / 6).await?;
        world.sink.stop().await?;
        world.sink.start().await
    };
    let (acknowledged, ()) = tokio::try_join!(load.run(&instances, Tolerance::Killing), killing)?;
    load.nothing_is_lost_or_doubled(world, &acknowledged).await
}

async fn kill_and_restart(process: &Process, http: &Http) -> anyhow::Result<()> {
    process.kill()?;
    process.start_again()?;
    process.complete(http).await
}

async fn stop_and_restart(process: &Process, http: &Http) -> anyhow::Result<()> {
    let status = process.stop(Signal::Terminate, STOP_WITHIN).await?;
    ensure!(status.success(), "{}: {status}", process.name());
    process.start_again()?;
    process.complete(http).await
}

async fn an_order_service_restarts_gracefully_in_mid_stream(world: &World) -> anyhow::Result<()> {
    let load = Load::new(world, ORDERS).await?;
    // A kept connection may be closed just as it is used again, by any HTTP server.
    let instances = [world.orders[0].without_keep_alive()?];
    let restart = async {
        load.acknowledged(ORDERS / 3).await?;
        stop_and_restart(world.process("order-service-a")?, &world.orders[0]).await
    };
    let (acknowledged, ()) = tokio::try_join!(load.run(&instances, Tolerance::Stopping), restart)?;
    load.nothing_is_lost_or_doubled(world, &acknowledged).await
}

async fn a_request_in_flight_is_answered_before_a_stop(world: &World) -> anyhow::Result<()> {
    let (order_service, catalog) = (
        world.process("order-service-a")?,
        world.process("catalog-service")?,
    );
    let order = world.new_order(world.new_product(10).await?, 1);
    // Nobody decides, so the request would wait for its whole time.
    catalog.stop(Signal::Terminate, STOP_WITHIN).await?;
    let request = world.orders[0].order(&order).header("Prefer", "wait=30");
    let stopping = async {
        becomes("the request waits for its outcome", true, async || {
            let orders = world.kafka.read_all("orders").await?;
            let user = format!(r#""user_id":{},"#, order.user_id);
            Ok(orders.iter().any(|record| record.text().contains(&user)))
        })
        .await?;
        order_service.stop(Signal::Terminate, STOP_WITHIN).await
    };
    let (answer, status) = tokio::join!(Answer::to(request), stopping);
    ensure!(status?.success(), "{}", order_service.name());
    let placed: OrderBody = answer?.expect(201)?.json()?;
    assert_eq!(placed.status, Status::Pending);
    catalog.start_again()?;
    order_service.start_again()?;
    catalog.complete(&world.catalog).await?;
    order_service.complete(&world.orders[0]).await?;
    becomes("the status", Status::Confirmed, async || {
        Ok(world.orders[0].order_by_id(placed.id).await?.status)
    })
    .await
}

async fn a_catalog_service_restarts_gracefully_in_mid_stream(world: &World) -> anyhow::Result<()> {
    let load = Load::new(world, ORDERS).await?;
    let instances = [world.orders[0].0.clone(), world.orders[1].0.clone()];
    let restart = async {
        load.acknowledged(ORDERS / 3).await?;
        stop_and_restart(world.process("catalog-service")?, &world.catalog).await
    };
    let (acknowledged, ()) = tokio::try_join!(load.run(&instances, Tolerance::Stopping), restart)?;
    load.nothing_is_lost_or_doubled(world, &acknowledged).await
}

/// Each transaction of one fences the other, until one sees that the other is no predecessor.
async fn of_two_order_services_with_one_instance_id_one_gives_up(
    world: &World,
) -> anyhow::Result<()> {
    let load = Load::new(world, ORDERS).await?;
    let (first, first_http) = world.another_order_service("c")?;
    first.complete(&first_http).await?;
    let (second, second_http) = world.another_order_service("c")?;
    second.complete(&second_http).await?;
    let instances = [first_http.0, second_http.0, world.orders[0].0.clone()];
    let rivals = [&first, &second];
    let giving_up = within(PATIENCE, "one of them gives up", async || {
        for rival in rivals {
            if let Some(status) = rival.ended()? {
                return Ok(Some((rival, status)));
            }
        }
        Ok(None)
    });
    let run = load.run(&instances, Tolerance::Killing);
    let (acknowledged, (ended, status)) = tokio::try_join!(run, giving_up)?;
    ensure!(!status.success(), "{status}");
    let said = "another instance runs under the same instance id";
    ensure!(ended.output()?.contains(said), "{}", ended.output()?);
    load.nothing_is_lost_or_doubled(world, &acknowledged).await
}
