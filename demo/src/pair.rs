use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use connect_worker::EnvSource;
use shared::kafka::KafkaSettings;
use shared::service::Service;
use shared::settings::{DatabaseSettings, HttpSettings};

use crate::drain;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// Where the pair puts itself.
pub(crate) struct Places {
    pub(crate) data_dir: PathBuf,
    pub(crate) base_port: u16,
}

/// Two order-services, one catalog-service, and the sink.
pub(crate) struct Pair {
    orders: [Service; 2],
    catalog: Service,
    worker: Service,
}

/// Where each service listens.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) order_services: [SocketAddr; 2],
    pub(crate) catalog_service: SocketAddr,
    pub(crate) connect_worker: SocketAddr,
}

impl Addresses {
    /// Waits until every service is ready, in full.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let [first, second] = self.order_services;
        for address in [first, second, self.catalog_service, self.connect_worker] {
            tokio::time::timeout(READY_WITHIN, ready(address))
                .await
                .with_context(|| format!("http://{address}/readyz says what is missing"))?;
        }
        Ok(())
    }
}

impl Places {
    fn http(&self, offset: u16) -> HttpSettings {
        let port = if self.base_port == 0 {
            0
        } else {
            self.base_port + offset
        };
        HttpSettings {
            workers: 1,
            shutdown_timeout_s: 5,
            ..HttpSettings::on_port(port)
        }
    }

    fn database(&self, file: &str) -> DatabaseSettings {
        DatabaseSettings::at(&format!("sqlite://{}?mode=rwc", self.file(file).display()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data_dir.join(name)
    }
}

impl Pair {
    pub(crate) async fn start(places: &Places, kafka: &KafkaSettings) -> anyhow::Result<Self> {
        create(&places.data_dir)?;
        let worker = start_worker(places, kafka).await?;
        let catalog = start_catalog(places, kafka).await?;
        let connect = format!("http://{}", worker.address());
        let first = start_orders(places, kafka, &connect, 1).await?;
        let second = start_orders(places, kafka, &connect, 11).await?;
        Ok(Self {
            orders: [first, second],
            catalog,
            worker,
        })
    }

    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            order_services: [self.orders[0].address(), self.orders[1].address()],
            catalog_service: self.catalog.address(),
            connect_worker: self.worker.address(),
        }
    }

    pub(crate) async fn failed(&mut self) -> String {
        let [first, second] = &mut self.orders;
        tokio::select! {
            why = first.failed() => why,
            why = second.failed() => why,
            why = self.catalog.failed() => why,
            why = self.worker.failed() => why,
        }
    }

    /// Stops from the source to the drain. An embedded broker takes what nobody has read
    /// with it, so there the readers get to the end first.
    pub(crate) async fn stop(self, embedded: Option<&KafkaSettings>) {
        let [first, second] = self.orders;
        tokio::join!(first.stop(), second.stop());
        if let Some(kafka) = embedded {
            drain::readers_at_the_end(kafka).await;
        }
        self.catalog.stop().await;
        self.worker.stop().await;
    }
}

fn create(data_dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot create the data folder {}", data_dir.display()))
}

async fn start_worker(places: &Places, kafka: &KafkaSettings) -> anyhow::Result<Service> {
    let url = format!("jdbc:sqlite:{}", places.file("orders.db").display());
    let env = [
        ("ORDERS_SINK_URL", url.as_str()),
        ("ORDERS_SINK_USERNAME", ""),
        ("ORDERS_SINK_PASSWORD", ""),
        ("ORDERS_SINK_TASKS_MAX", "1"),
        ("ORDERS_SINK_DLQ_REPLICATION", "1"),
    ];
    let overrides = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = connect_worker::Settings {
        http: places.http(3),
        kafka: kafka.clone(),
        // The in-process broker forgets everything anyway.
        store: connect_worker::StoreSettings::in_memory(),
        ..connect_worker::Settings::default()
    };
    let env = EnvSource::with_overrides(BTreeMap::from(overrides));
    connect_worker::start(settings, env)
        .await
        .context(another_port())
}

async fn start_catalog(places: &Places, kafka: &KafkaSettings) -> anyhow::Result<Service> {
    let settings = catalog_service::Settings {
        http: places.http(2),
        kafka: kafka.clone(),
        database: places.database("catalog.db"),
        ..catalog_service::Settings::default()
    };
    catalog_service::start(settings)
        .await
        .context(another_port())
}

async fn start_orders(
    places: &Places,
    kafka: &KafkaSettings,
    connect: &str,
    offset: u16,
) -> anyhow::Result<Service> {
    let mut settings = order_service::Settings {
        http: places.http(offset),
        kafka: kafka.clone(),
        database: places.database("orders.db"),
        ..order_service::Settings::default()
    };
    settings.connect.url = connect.to_owned();
    order_service::start(settings).await.context(another_port())
}

fn another_port() -> &'static str {
    "the demo cannot start (another --base-port may help)"
}

/// Ready in full: degraded is good enough for a load balancer, not for a first look.
async fn ready(address: SocketAddr) {
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
