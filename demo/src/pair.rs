use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use console::{Blow, Deed};
use shared::kafka::KafkaSettings;
use shared::service::Service;
use tokio::sync::mpsc;

use crate::drain;
use crate::part::Part;
use crate::recipe::{Name, Recipe, another_port, http};
use crate::seed;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// Where the pair puts itself.
pub(crate) struct Places {
    pub(crate) data_dir: PathBuf,
    pub(crate) base_port: u16,
}

/// Two order-services, one catalog-service, the sink, and the console that shows them.
pub(crate) struct Pair {
    recipe: Recipe,
    /// As in [`Name::ALL`]; what was killed is none.
    parts: [Option<Part>; 4],
    places: [SocketAddr; 4],
    console: Service,
    blows: mpsc::Receiver<Blow>,
}

/// Where each service listens.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) order_services: [SocketAddr; 2],
    pub(crate) catalog_service: SocketAddr,
    pub(crate) connect_worker: SocketAddr,
    pub(crate) console: SocketAddr,
}

impl Addresses {
    /// Waits until every service is ready, in full.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let [first, second] = self.order_services;
        for address in [first, second, self.catalog_service, self.connect_worker] {
            ready(address).await?;
        }
        Ok(())
    }
}

impl Places {
    fn bind(&self, offset: u16) -> SocketAddr {
        let port = if self.base_port == 0 {
            0
        } else {
            self.base_port + offset
        };
        SocketAddr::from(([127, 0, 0, 1], port))
    }
}

impl Pair {
    pub(crate) async fn start(places: &Places, kafka: &KafkaSettings) -> anyhow::Result<Self> {
        create(&places.data_dir)?;
        let mut recipe = Recipe {
            data_dir: places.data_dir.clone(),
            kafka: kafka.clone(),
            connect: String::new(),
        };
        let start = async |recipe: &Recipe, name: Name| {
            recipe.start(name, places.bind(name.offset())).await
        };
        let sink = start(&recipe, Name::Sink).await?;
        recipe.connect = url(sink.service.address());
        let mut catalog = start(&recipe, Name::Catalog).await?;
        stock_up(&mut catalog).await?;
        let first = start(&recipe, Name::FirstOrders).await?;
        let second = start(&recipe, Name::SecondOrders).await?;
        let parts = [sink, catalog, first, second];
        let addresses = [0, 1, 2, 3].map(|at| parts[at].service.address());
        let (breaker, blows) = mpsc::channel(1);
        let console = console_settings(&recipe, places.bind(0), addresses, breaker);
        let console = console::start(console).await.context(another_port())?;
        Ok(Self {
            recipe,
            parts: parts.map(Some),
            places: addresses,
            console,
            blows,
        })
    }

    pub(crate) fn addresses(&self) -> Addresses {
        let [sink, catalog, first, second] = self.places;
        Addresses {
            order_services: [first, second],
            catalog_service: catalog,
            connect_worker: sink,
            console: self.console.address(),
        }
    }

    /// Lives until something cannot go on, and says why. What the console breaks is meant.
    pub(crate) async fn failed(&mut self) -> String {
        loop {
            let [sink, catalog, first, second] = &mut self.parts;
            let blow = tokio::select! {
                why = failure(sink) => return why,
                why = failure(catalog) => return why,
                why = failure(first) => return why,
                why = failure(second) => return why,
                why = self.console.failed() => return why,
                Some(blow) = self.blows.recv() => blow,
            };
            let done = self
                .strike(&blow)
                .await
                .map_err(|error| format!("{error:#}"));
            // Whoever asked may be gone.
            blow.done.send(done).ok();
        }
    }

    async fn strike(&mut self, blow: &Blow) -> anyhow::Result<()> {
        let at = Name::ALL.iter().position(|name| name.id() == blow.part);
        let at = at.with_context(|| format!("there is no part {}", blow.part))?;
        let part = &mut self.parts[at];
        match (blow.deed, part.take()) {
            (Deed::Kill, Some(part)) => part.kill().await,
            (Deed::Start, None) => {
                *part = Some(self.recipe.start(Name::ALL[at], self.places[at]).await?)
            }
            (Deed::Kill, None) => bail!("{} is not running", blow.part),
            (Deed::Start, running) => {
                *part = running;
                bail!("{} is running", blow.part)
            }
        }
        Ok(())
    }

    /// Stops from the source to the drain. An embedded broker takes what nobody has read
    /// with it, so there the readers get to the end first: also those that were killed.
    pub(crate) async fn stop(mut self, embedded: Option<&KafkaSettings>) {
        for at in [0, 1] {
            if self.parts[at].is_none() {
                self.parts[at] = self.recipe.start(Name::ALL[at], self.places[at]).await.ok();
            }
        }
        let [sink, catalog, first, second] = self.parts;
        tokio::join!(self.console.stop(), stop(first), stop(second));
        if let Some(kafka) = embedded {
            drain::readers_at_the_end(kafka).await;
        }
        stop(catalog).await;
        stop(sink).await;
    }
}

async fn failure(part: &mut Option<Part>) -> String {
    match part {
        Some(part) => part.service.failed().await,
        None => std::future::pending().await,
    }
}

async fn stop(part: Option<Part>) {
    if let Some(part) = part {
        part.stop().await;
    }
}

fn console_settings(
    recipe: &Recipe,
    bind: SocketAddr,
    [sink, catalog, first, second]: [SocketAddr; 4],
    breaker: mpsc::Sender<Blow>,
) -> console::Settings {
    console::Settings {
        http: http(bind),
        kafka: recipe.kafka.clone(),
        order_services: vec![url(first), url(second)],
        catalog_service: url(catalog),
        connect: url(sink),
        orders_database: recipe.database("orders.db"),
        catalog_database: recipe.database("catalog.db"),
        naive_database: recipe.database("naive.db"),
        breaker: Some(breaker),
        ..console::Settings::default()
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// SQLite makes files in it while it runs.
fn create(data_dir: &Path) -> anyhow::Result<()> {
    let probe = data_dir.join("writable");
    std::fs::create_dir_all(data_dir)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe))
        .with_context(|| {
            let folder = data_dir.display();
            format!("cannot write to the data folder {folder}: choose another by --data-dir")
        })
}

/// Before the first order can come: it would be rejected for want of its product.
async fn stock_up(catalog: &mut Part) -> anyhow::Result<()> {
    let address = catalog.service.address();
    let products = async {
        ready(address).await?;
        seed::products(address).await
    };
    tokio::select! {
        result = products => result,
        why = catalog.service.failed() => bail!(why),
    }
}

async fn ready(address: SocketAddr) -> anyhow::Result<()> {
    tokio::time::timeout(READY_WITHIN, become_ready(address))
        .await
        .with_context(|| format!("http://{address}/readyz says what is missing"))
}

/// Ready in full: degraded is good enough for a load balancer, not for a first look.
async fn become_ready(address: SocketAddr) {
    loop {
        if let Ok(response) = reqwest::get(format!("http://{address}/readyz")).await
            && let Ok(report) = response.json::<serde_json::Value>().await
            && report["status"] == "ready"
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
