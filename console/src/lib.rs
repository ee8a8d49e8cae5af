//! A web page that shows in one glance whether a pair is right and fast.
//!
//! Everything is seen from outside: the services' HTTP interfaces, the topics as committed,
//! both databases. `gather` looks and makes one snapshot for all open pages; `audit` follows
//! every order from its record to its rows and holds it to the invariants; `shop` places
//! orders and takes every answer down; `breaker` breaks parts of the pair, and `race` does so to its `naive` twin too; `routes` serves the page and its one stream.

mod audit;
mod breaker;
mod gather;
mod hub;
mod naive;
mod page;
mod race;
mod routes;
mod settings;
mod shop;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::{Context, ensure};
use prometheus_client::registry::Registry;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use sea_orm::DatabaseConnection;
use shared::database::{self, ConnectError};
use shared::http::{Common, Health, serve};
use shared::service::{Service, Tasks};
use shared::traces::Traces;
use tokio::task::spawn_blocking;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

pub use naive::NAIVE_TOPICS;
pub use settings::{Blow, Deed, Settings, Topics};

use crate::audit::{Audit, Follower, Prover};
use crate::gather::Gatherer;
use crate::hub::Hub;
use crate::race::Race;
use crate::routes::Console;
use crate::shop::Shop;

/// Longer than a service takes to answer a request that it can answer at all.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Both are only read.
#[derive(Debug, Clone)]
struct Databases {
    orders: DatabaseConnection,
    catalog: DatabaseConnection,
}

impl Databases {
    async fn open(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            orders: database::connect(&settings.orders_database)
                .await
                .map_err(ConnectError::from)
                .context("setting `orders_database.url`")?,
            catalog: database::connect(&settings.catalog_database)
                .await
                .map_err(ConnectError::from)
                .context("setting `catalog_database.url`")?,
        })
    }
}

/// Where what is seen and done comes together.
#[derive(Clone)]
struct Looks {
    databases: Databases,
    audit: Arc<Audit>,
    shop: Arc<Shop>,
}

/// Serves the page. What it shows need not be there yet.
///
/// # Errors
/// A taken port, or a setting that cannot work.
pub async fn start(settings: Settings) -> anyhow::Result<Service> {
    check(&settings)?;
    let client = client(&settings)?;
    let audit = Arc::new(Audit::default());
    let looks = Looks {
        databases: Databases::open(&settings).await?,
        shop: Arc::new(Shop::new(client.clone(), &settings, Arc::clone(&audit))),
        audit,
    };
    let race = Race::new(&settings, client.clone(), looks.clone()).await?;
    assemble(settings, client, looks, race)
}

/// Not async: what is would be compiled anew in every program that awaits it.
fn assemble(
    settings: Settings,
    client: Client,
    looks: Looks,
    race: Option<Arc<Race>>,
) -> anyhow::Result<Service> {
    let hub = Arc::new(Hub::default());
    let prover = Prover {
        audit: Arc::clone(&looks.audit),
        hub: Arc::clone(&hub),
        databases: looks.databases.clone(),
    };
    let mut tasks = Tasks::default();
    let console = Data::new(Console {
        hub: Arc::clone(&hub),
        shop: Arc::clone(&looks.shop),
        race: race.clone(),
        drain: tasks.drain_signal(),
    });
    let common = Common {
        health: Health::default(),
        metrics: Registry::default(),
        openapi: openapi(),
        traces: Traces::default(),
    };
    let http = serve(&settings.http, common, move |config| {
        routes::configure(config, console.clone());
    })
    .context("console")?;

    let follower = Follower {
        kafka: settings.kafka.clone(),
        topics: settings.topics.clone(),
        audit: Arc::clone(&looks.audit),
        stop: tasks.stop_signal(),
    };
    tasks.spawn("audit", spawn_blocking(move || follower.run()));
    tasks.spawn("proof", prover.run(tasks.stop_signal()));
    let gatherer = Gatherer {
        settings,
        client,
        hub,
        looks,
        race,
    };
    gatherer.spawn(&mut tasks);
    Ok(Service::new(http, tasks))
}

fn check(settings: &Settings) -> anyhow::Result<()> {
    settings.kafka.validate()?;
    ensure!(
        !settings.order_services.is_empty(),
        "setting `order_services`: one URL at least"
    );
    let orders = settings.order_services.iter();
    let orders = orders.map(|url| ("order_services", url));
    let others = [
        ("catalog_service", &settings.catalog_service),
        ("connect", &settings.connect),
    ];
    for (name, url) in orders.chain(others) {
        Url::parse(url).with_context(|| format!("setting `{name}`: `{url}` is no URL"))?;
    }
    Ok(())
}

fn client(settings: &Settings) -> reqwest::Result<Client> {
    let mut headers = HeaderMap::new();
    let token = settings.token.expose();
    if !token.is_empty()
        && let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {token}"))
    {
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    let client = Client::builder().timeout(TIMEOUT);
    client.default_headers(headers).build()
}

/// What the page calls is the page's own affair.
fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("console")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A page at `/`; it has no API for others."));
    OpenApiBuilder::new().info(info.build()).build()
}
