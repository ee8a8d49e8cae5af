//! More than it can do: an order-service that is asked for twice as much, held up by slow
//! clients, or by ten thousand that say nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::{
    Answer, Http, OrderService, PlaceOrder, Process, Signal, World, binary, free_address, within,
};
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::session::{Session, tests};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        twice_the_sustainable_load_is_accepted_or_refused_and_drains,
        clients_that_never_finish_their_request_are_let_go,
        ten_thousand_idle_connections_keep_nobody_out,
    ]
}

const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How long a request waits for its commit, at most.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longer than any request may take.
const DRAIN: Duration = Duration::from_secs(180);

/// How long the load lasts, in seconds; `OVERLOAD_SECONDS` sets another.
fn load_seconds() -> anyhow::Result<u64> {
    match std::env::var("OVERLOAD_SECONDS") {
        Ok(text) => text.parse().context("OVERLOAD_SECONDS"),
        Err(_) => Ok(15),
    }
}

/// Small transactions: its limit is then its own, not that of a machine which also makes the load.
fn start(world: &World, folder: &Path) -> anyhow::Result<(Process, OrderService)> {
    let address = free_address()?;
    let mut command = binary("order-service")?;
    command
        .env("ORDER_SERVICE__HTTP__BIND", address.to_string())
        .env(
            "ORDER_SERVICE__KAFKA__BOOTSTRAP_SERVERS",
            world.kafka.bootstrap_servers(),
        )
        .env("ORDER_SERVICE__INSTANCE_ID", "e2e-overload")
        .env(
            "ORDER_SERVICE__DATABASE__URL",
            format!("sqlite://{}?mode=rwc", folder.join("orders.db").display()),
        )
        .env("ORDER_SERVICE__CONNECT__URL", "")
        .env("ORDER_SERVICE__PUBLISHER__MAX_BATCH", "3")
        .env("ORDER_SERVICE__PUBLISHER__QUEUE", "40");
    let process = Process::start("order-service-overload", command, folder)?;
    Ok((
        process,
        OrderService(Http::new(&format!("http://{address}"))?),
    ))
}

async fn stops(process: &Process) -> anyhow::Result<()> {
    let status = process.stop(Signal::Terminate, STOP_WITHIN).await?;
    ensure!(status.success(), "{status}: {}", process.output()?);
    Ok(())
}

#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    latencies: Vec<Duration>,
}

impl Tally {
    fn count(&mut self, answer: &Answer, latency: Duration) -> anyhow::Result<()> {
        match answer.status.as_u16() {
            201 => {
                self.accepted += 1;
                self.latencies.push(latency);
            }
            503 => {
                ensure!(
                    answer.header("retry-after").is_some(),
                    "503 without Retry-After"
                );
                self.refused += 1;
            }
            other => anyhow::bail!("{other}: {}", answer.text()),
        }
        Ok(())
    }

    fn p99(&mut self) -> Duration {
        self.latencies.sort();
        let index = self.latencies.len() * 99 / 100;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// What as many clients as it takes get out of it, one order after the other, per second.
async fn sustainable(service: &OrderService, order: &PlaceOrder) -> anyhow::Result<usize> {
    const CLIENTS: usize = 32;
    const SECONDS: u64 = 3;
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (service, order) = (service.clone(), *order);
        clients.spawn(async move {
            let mut placed = 0;
            while Instant::now() < end {
                service.place(&order).await?;
                placed += 1;
            }
            anyhow::Ok(placed)
        });
    }
    let mut placed = 0;
    while let Some(result) = clients.join_next().await {
        placed += result??;
    }
    Ok(placed / usize::try_from(SECONDS)?)
}

/// Twice what can be sustained; more where the machine has become faster meanwhile. The load
/// until this is known fills every buffer there is.
async fn overloading(
    service: &OrderService,
    order: &PlaceOrder,
    seconds: u64,
) -> anyhow::Result<usize> {
    let mut rate = sustainable(service, order).await?;
    for _ in 0..5 {
        rate *= 2;
        if load(service, order, rate, seconds).await?.refused > 0 {
            return Ok(rate);
        }
    }
    anyhow::bail!("{rate} orders a second are no overload")
}

/// So many orders a second, whatever becomes of those before.
async fn load(
    service: &OrderService,
    order: &PlaceOrder,
    rate: usize,
    seconds: u64,
) -> anyhow::Result<Tally> {
    const TICKS: u64 = 100;
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / TICKS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    let mut tally = Tally::default();
    for tick in 0..TICKS * seconds {
        ticks.tick().await;
        let due = |tick: u64| rate * usize::try_from(tick).unwrap_or(0) / 100;
        for _ in due(tick)..due(tick + 1) {
            let request = service.order(order);
            requests.spawn(async move {
                let begun = Instant::now();
                (Answer::to(request).await, begun.elapsed())
            });
        }
        while let Some(done) = requests.try_join_next() {
            let (answer, latency) = done?;
            tally.count(&answer?, latency)?;
        }
    }
    while let Some(done) = requests.join_next().await {
        let (answer, latency) = done?;
        tally.count(&answer?, latency)?;
    }
    Ok(tally)
}

async fn twice_the_sustainable_load_is_accepted_or_refused_and_drains(
    world: &World,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (process, service) = start(world, folder.path())?;
    process.complete(&service).await?;
    let order = world.new_order(world.new_product(100_000_000).await?, 1);
    let seconds = load_seconds()?;
    let rate = overloading(&service, &order, seconds / 3).await?;
    let before = resident(&process)?;
    let mut tally = load(&service, &order, rate, seconds - seconds / 3).await?;
    let after = resident(&process)?;
    let p99 = tally.p99();
    let told = format!(
        "{rate}/s for {seconds} s: at last {} accepted, {} refused, p99 {p99:?}, {before} to {after} KiB",
        tally.accepted, tally.refused
    );
    #[allow(clippy::print_stdout, reason = "figures are read by people")]
    {
        println!("{told}");
    }
    ensure!(
        tally.accepted > 0 && tally.refused > 0,
        "no overload: {told}"
    );
    ensure!(p99 < DEADLINE, "{told}");
    ensure!(after < before + before / 4 + 4_096, "{told}");
    all_of_it_drains(world, &order).await?;
    stops(&process).await
}

/// The last order placed is decided after all before it: same product, same partition.
async fn all_of_it_drains(world: &World, order: &PlaceOrder) -> anyhow::Result<()> {
    let committed = world.kafka.read_all("orders").await?;
    let user = format!(r#""user_id":{},"#, order.user_id);
    let placed = committed
        .iter()
        .filter(|record| record.text().contains(&user));
    let placed = placed.count();
    within(DRAIN, "every order is a row, and decided", async || {
        let rows = world.orders_database.orders_of(order.user_id).await?.len();
        let stock = world.catalog.stock(order.product_id).await?;
        let decided = 100_000_000 - stock;
        ensure!(rows == placed, "{rows} rows of {placed}");
        ensure!(
            usize::try_from(decided)? == placed,
            "{decided} decided of {placed}"
        );
        Ok(Some(()))
    })
    .await
}

/// Memory that the process holds, in KiB.
fn resident(process: &Process) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("VmRSS")?.parse()?)
}

/// A byte of a header per second would take minutes.
async fn clients_that_never_finish_their_request_are_let_go(world: &World) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (process, service) = start(world, folder.path())?;
    process.complete(&service).await?;
    let address = address(&service)?;
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&address).await?;
        clients.spawn(async move {
            stream.write_all(b"POST /orders HTTP/1.1\r\nHost: ").await?;
            let (mut reader, mut writer) = stream.into_split();
            let dripping = async {
                while writer.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            let mut answer = Vec::new();
            tokio::select! {
                end = reader.read_to_end(&mut answer) => end.map(|_| answer),
                () = dripping => Ok(answer),
            }
        });
    }
    let order = world.new_order(world.new_product(10).await?, 1);
    for _ in 0..10 {
        service.place(&order).await?;
    }
    let let_go = async {
        while let Some(client) = clients.join_next().await {
            // 408, or a reset while a byte was on its way.
            let answer = client?.unwrap_or_default();
            let text = String::from_utf8_lossy(&answer).into_owned();
            ensure!(
                text.is_empty() || text.starts_with("HTTP/1.1 408"),
                "{text}"
            );
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), let_go).await??;
    stops(&process).await
}

async fn ten_thousand_idle_connections_keep_nobody_out(world: &World) -> anyhow::Result<()> {
    const CONNECTIONS: usize = 10_000;
    let files = rlimit::increase_nofile_limit(30_000)?;
    ensure!(
        files >= 11_000,
        "a process may open {files} files here: raise the hard limit (ulimit -Hn) to 11000 at least"
    );
    let folder = tempfile::tempdir()?;
    let (process, service) = start(world, folder.path())?;
    process.complete(&service).await?;
    let address = address(&service)?;
    let order = world.new_order(world.new_product(100).await?, 1);
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        idle.push(
            TcpStream::connect(&address)
                .await
                .context(format!("connection {number}"))?,
        );
        if number % 1_000 == 999 {
            service.place(&order).await?;
        }
    }
    service.place(&order).await?;
    drop(idle);
    service.place(&order).await?;
    stops(&process).await
}

fn address(service: &OrderService) -> anyhow::Result<String> {
    let address = service.base().strip_prefix("http://");
    Ok(address.context("an http address")?.to_owned())
}
