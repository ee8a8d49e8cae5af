use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::{
    Answer, CatalogDatabase, CatalogService, Http, NOWHERE, OrderService, PlaceOrder, Process,
    Signal, World, becomes, binary, eventually, free_address,
};
use libtest_mimic::Trial;
use shared::contract::{Delta, DeltaKind, OrderId, Outcome, ProductId, Status};
use test_database::Cable;

use crate::session::{Session, tests, tests_without_world};

pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests_without_world![session;
        without_a_broker_orders_are_refused_and_the_service_says_so,
        without_a_broker_the_catalog_is_readable_and_the_service_says_so,
    ]
}

pub(crate) fn trials_on_real_kafka(session: &Arc<Session>) -> Vec<Trial> {
    tests![session;
        without_a_database_orders_are_placed_and_read_from_the_tail,
        without_a_database_the_catalog_says_so_and_refuses,
        a_catalog_cut_off_from_its_database_applies_every_delta_once_it_is_back,
        a_catalog_whose_database_stood_still_knows_its_products,
    ]
}

/// The default deadline of a request, and what a busy machine adds.
const DEADLINE: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(5);

/// A service beside the world: it has its own port, and what it needs is told apart.
fn start(name: &str, command: Command, folder: &Path) -> anyhow::Result<(Process, Http)> {
    let (address, mut command) = (free_address()?, command);
    let prefix = name.replace('-', "_").to_uppercase();
    command.env(format!("{prefix}__HTTP__BIND"), address.to_string());
    Ok((
        Process::start(name, command, folder)?,
        Http::new(&format!("http://{address}"))?,
    ))
}

async fn stops_promptly(process: &Process) -> anyhow::Result<()> {
    let status = process.stop(Signal::Terminate, DEADLINE + SLACK).await?;
    ensure!(status.success(), "{status}: {}", process.output()?);
    Ok(())
}

/// `/readyz` says which broker does not answer.
async fn names_the_broker(http: &Http) -> anyhow::Result<()> {
    becomes("the broker's state", true, async || {
        let report = http.readiness().await?;
        let reason = report["dependencies"]["broker"]["reason"]
            .as_str()
            .unwrap_or_default();
        Ok(reason.contains(NOWHERE))
    })
    .await
}

async fn without_a_broker_orders_are_refused_and_the_service_says_so() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("orders.db").display()
    );
    let mut command = binary("order-service")?;
    command
        .env("ORDER_SERVICE__KAFKA__BOOTSTRAP_SERVERS", NOWHERE)
        .env("ORDER_SERVICE__DATABASE__URL", database);
    let (process, http) = start("order-service", command, folder.path())?;
    process.readiness(&http, "unready").await?;
    names_the_broker(&http).await?;
    Answer::to(http.get("/readyz")).await?.expect(503)?;
    let order = PlaceOrder {
        user_id: 1,
        product_id: 1,
        qty: 1,
        unit_price: 1,
    };
    let begun = Instant::now();
    let answer = Answer::to(OrderService(http).order(&order))
        .await?
        .expect(503)?;
    ensure!(
        begun.elapsed() < DEADLINE + SLACK,
        "answered after {:?}",
        begun.elapsed()
    );
    ensure!(answer.header("retry-after").is_some(), "Retry-After");
    let detail = answer.problem()?.detail.unwrap_or_default();
    ensure!(detail.contains("nothing was written"), "{detail}");
    stops_promptly(&process).await
}

async fn without_a_broker_the_catalog_is_readable_and_the_service_says_so() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("catalog.db").display()
    );
    let mut command = binary("catalog-service")?;
    command
        .env("CATALOG_SERVICE__KAFKA__BOOTSTRAP_SERVERS", NOWHERE)
        .env("CATALOG_SERVICE__DATABASE__URL", database);
    let (process, http) = start("catalog-service", command, folder.path())?;
    process.readiness(&http, "unready").await?;
    becomes("the list's status", 200, async || {
        Ok(Answer::to(http.get("/catalog")).await?.status.as_u16())
    })
    .await?;
    names_the_broker(&http).await?;
    Answer::to(http.get("/readyz")).await?.expect(503)?;
    stops_promptly(&process).await
}

async fn without_a_database_orders_are_placed_and_read_from_the_tail(
    world: &World,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = binary("order-service")?;
    command
        .env("ORDER_SERVICE__INSTANCE_ID", "e2e-without-database")
        .env(
            "ORDER_SERVICE__KAFKA__BOOTSTRAP_SERVERS",
            world.kafka.bootstrap_servers(),
        )
        .env(
            "ORDER_SERVICE__DATABASE__URL",
            format!("mysql://me:me@{NOWHERE}/orders"),
        );
    let (process, http) = start("order-service", command, folder.path())?;
    process.readiness(&http, "degraded").await?;
    let service = OrderService(http);
    let product = world.new_product(10).await?;
    let placed = service.place(&world.new_order(product, 1)).await?;
    assert_eq!(service.order_by_id(placed.id).await?.qty, 1);
    becomes("the status", Status::Confirmed, async || {
        Ok(service.order_by_id(placed.id).await?.status)
    })
    .await?;
    let answer = Answer::to(service.get("/orders")).await?.expect(503)?;
    ensure!(answer.header("retry-after").is_some(), "Retry-After");
    let detail = answer.problem()?.detail.unwrap_or_default();
    ensure!(detail.contains("database"), "{detail}");
    let report = Answer::to(service.get("/readyz"))
        .await?
        .expect(200)?
        .text();
    ensure!(report.contains("degraded"), "{report}");
    stops_promptly(&process).await
}

async fn without_a_database_the_catalog_says_so_and_refuses(world: &World) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = binary("catalog-service")?;
    command
        // Not the world's group: this one must get no partition that it cannot serve.
        .env("CATALOG_SERVICE__GROUP", "e2e-without-database")
        .env(
            "CATALOG_SERVICE__KAFKA__BOOTSTRAP_SERVERS",
            world.kafka.bootstrap_servers(),
        )
        .env(
            "CATALOG_SERVICE__DATABASE__URL",
            format!("mysql://me:me@{NOWHERE}/catalog"),
        );
    let (process, http) = start("catalog-service", command, folder.path())?;
    process.readiness(&http, "unready").await?;
    let answer = Answer::to(http.get("/catalog")).await?.expect(503)?;
    ensure!(answer.header("retry-after").is_some(), "Retry-After");
    let detail = answer.problem()?.detail.unwrap_or_default();
    ensure!(detail.contains("database"), "{detail}");
    says_the_database_is_down(&http).await?;
    stops_promptly(&process).await
}

async fn says_the_database_is_down(http: &Http) -> anyhow::Result<()> {
    becomes("the database's state", "down".to_owned(), async || {
        let report = http.readiness().await?;
        Ok(report["dependencies"]["database"]["status"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    })
    .await
}

async fn a_catalog_cut_off_from_its_database_applies_every_delta_once_it_is_back(
    world: &World,
) -> anyhow::Result<()> {
    on_a_cable(world, cut_off).await
}

/// No statement gets the answer to one that nobody waits for any more.
async fn a_catalog_whose_database_stood_still_knows_its_products(
    world: &World,
) -> anyhow::Result<()> {
    on_a_cable(world, held).await
}

/// A catalog-service beside the world, with topics and a database of its own.
struct OnACable {
    process: Process,
    catalog: CatalogService,
    cable: Cable,
    ledger: CatalogDatabase,
    deltas: String,
    outcomes: String,
    letters: String,
}

impl OnACable {
    /// All that was published so far.
    async fn facts(&self, world: &World) -> anyhow::Result<Vec<Outcome>> {
        let records = world.kafka.read_all(&self.outcomes).await?.into_iter();
        let facts = records.map(|record| Outcome::decode(&record.value.unwrap_or_default()));
        Ok(facts.collect::<Result<_, _>>()?)
    }
}

/// Runs a case with 10,000 pieces of product 1.
async fn on_a_cable(
    world: &World,
    case: impl AsyncFnOnce(&World, &OnACable) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let id = OrderId::random();
    let topics = ["deltas", "outcomes", "letters"].map(|what| format!("cable-{id}-{what}"));
    let folder = tempfile::tempdir()?;
    let mut result = Ok(());
    test_database::on_mariadb(async |url| {
        result = async {
            let scene = start_on_a_cable(world, &url, &topics, folder.path()).await?;
            case(world, &scene).await?;
            stops_promptly(&scene.process).await
        }
        .await;
    })
    .await;
    let topics = topics.each_ref().map(String::as_str);
    result.and(world.kafka.delete_topics(&topics).await)
}

async fn start_on_a_cable(
    world: &World,
    url: &str,
    topics: &[String; 3],
    folder: &Path,
) -> anyhow::Result<OnACable> {
    let [deltas, outcomes, letters] = topics;
    let cable = Cable::to(url).await;
    let mut command = binary("catalog-service")?;
    for (setting, value) in [
        ("KAFKA__BOOTSTRAP_SERVERS", world.kafka.bootstrap_servers()),
        ("DATABASE__URL", cable.url()),
        ("GROUP", deltas),
        ("TOPICS__CATALOG_DELTAS__NAME", deltas),
        ("TOPICS__ORDER_OUTCOMES__NAME", outcomes),
        ("TOPICS__DEAD_LETTERS__NAME", letters),
    ] {
        command.env(format!("CATALOG_SERVICE__{setting}"), value);
    }
    let (process, http) = start("catalog-service", command, folder)?;
    let catalog = CatalogService(http);
    process.complete(&catalog).await?;
    catalog.put_product(1, "Cup", 10_000).await?.expect(201)?;
    Ok(OnACable {
        process,
        catalog,
        cable,
        ledger: CatalogDatabase::open(url).await?,
        deltas: deltas.clone(),
        outcomes: outcomes.clone(),
        letters: letters.clone(),
    })
}

async fn cut_off(world: &World, scene: &OnACable) -> anyhow::Result<()> {
    let OnACable {
        process,
        catalog,
        cable,
        ledger,
        deltas,
        letters,
        ..
    } = scene;
    world.kafka.produce_all(deltas, reservations(2_000)).await?;
    eventually("the first deltas are applied", async || {
        Ok((ledger.count_reservations().await? > 0).then_some(()))
    })
    .await?;
    cable.cut();
    world.kafka.produce_all(deltas, reservations(500)).await?;
    says_the_database_is_down(catalog).await?;
    Answer::to(catalog.get("/catalog")).await?.expect(503)?;
    ensure!(
        ledger.count_reservations().await? < 2_500,
        "it was not cut off"
    );

    cable.mend();
    eventually("every delta is in the ledger", async || {
        Ok((ledger.count_reservations().await? == 2_500).then_some(()))
    })
    .await?;
    process.complete(catalog).await?;
    becomes("the stock", 7_500, async || catalog.stock(1).await).await?;
    becomes("orders with a fact", 2_500, async || {
        let facts = scene.facts(world).await?.into_iter();
        Ok(facts
            .map(|fact| fact.order_id)
            .collect::<BTreeSet<_>>()
            .len())
    })
    .await?;
    ensure!(
        world.kafka.read_all(letters).await?.is_empty(),
        "dead letters"
    );
    Ok(())
}

async fn held(world: &World, scene: &OnACable) -> anyhow::Result<()> {
    let catalog = &scene.catalog;
    scene.cable.hold();
    says_the_database_is_down(catalog).await?;
    scene.cable.mend();
    scene.process.complete(catalog).await?;
    // Batch by batch, every connection of the pool is used.
    for batch in 1..=30 {
        let orders = reservations(2);
        world.kafka.produce_all(&scene.deltas, orders).await?;
        catalog.stock(1).await?;
        eventually("the batch is applied", async || {
            let applied = scene.ledger.count_reservations().await?;
            Ok((applied == 2 * batch).then_some(()))
        })
        .await?;
    }
    becomes("orders confirmed", 60, async || {
        let facts = scene.facts(world).await?;
        let refused = facts.iter().find(|fact| fact.status != Status::Confirmed);
        ensure!(refused.is_none(), "{refused:?}");
        Ok(facts.len())
    })
    .await?;
    becomes("the stock", 9_940, async || catalog.stock(1).await).await
}

/// Deltas of orders for one piece each of product 1.
fn reservations(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let delta = || Delta {
        order_id: OrderId::random(),
        product_id: ProductId(1),
        kind: DeltaKind::Reserve,
        delta: -1,
    };
    (0..count).map(move |_| delta().encode())
}
