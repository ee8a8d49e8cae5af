use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use connect_worker::EnvSource;
use shared::kafka::KafkaSettings;
use shared::settings::{DatabaseSettings, HttpSettings};

use crate::part::Part;

/// A part of the pair that can be killed and started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Sink,
    Catalog,
    FirstOrders,
    SecondOrders,
}

impl Name {
    /// In the order of their start: each has its connections' other end.
    pub(crate) const ALL: [Self; 4] = [
        Self::Sink,
        Self::Catalog,
        Self::FirstOrders,
        Self::SecondOrders,
    ];

    /// As the console names it.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Sink => "sink",
            Self::Catalog => "catalog-service",
            Self::FirstOrders => "order-service-1",
            Self::SecondOrders => "order-service-2",
        }
    }

    /// Of its port, from the base port.
    pub(crate) fn offset(self) -> u16 {
        match self {
            Self::FirstOrders => 1,
            Self::Catalog => 2,
            Self::Sink => 3,
            Self::SecondOrders => 11,
        }
    }
}

/// What the parts are started with.
pub(crate) struct Recipe {
    pub(crate) data_dir: PathBuf,
    pub(crate) kafka: KafkaSettings,
    /// The sink's URL, once it has one.
    pub(crate) connect: String,
}

impl Recipe {
    pub(crate) async fn start(&self, name: Name, bind: SocketAddr) -> anyhow::Result<Part> {
        let http = http(bind);
        let started = match name {
            Name::Sink => {
                let (settings, env) = self.sink(http);
                Part::start(connect_worker::start(settings, env)).await
            }
            Name::Catalog => Part::start(catalog_service::start(self.catalog(http))).await,
            Name::FirstOrders | Name::SecondOrders => {
                Part::start(order_service::start(self.orders(http))).await
            }
        };
        started.context(another_port())
    }

    fn sink(&self, http: HttpSettings) -> (connect_worker::Settings, EnvSource) {
        let url = format!("jdbc:sqlite:{}", self.data_dir.join("orders.db").display());
        let env = [
            ("ORDERS_SINK_URL", url.as_str()),
            ("ORDERS_SINK_USERNAME", ""),
            ("ORDERS_SINK_PASSWORD", ""),
            ("ORDERS_SINK_TASKS_MAX", "1"),
            ("ORDERS_SINK_DLQ_REPLICATION", "1"),
        ];
        let overrides = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = connect_worker::Settings {
            http,
            kafka: self.kafka.clone(),
            // The in-process broker forgets everything anyway.
            store: connect_worker::StoreSettings::in_memory(),
            ..connect_worker::Settings::default()
        };
        (
            settings,
            EnvSource::with_overrides(BTreeMap::from(overrides)),
        )
    }

    fn catalog(&self, http: HttpSettings) -> catalog_service::Settings {
        catalog_service::Settings {
            http,
            kafka: self.kafka.clone(),
            database: self.database("catalog.db"),
            ..catalog_service::Settings::default()
        }
    }

    fn orders(&self, http: HttpSettings) -> order_service::Settings {
        let mut settings = order_service::Settings {
            http,
            kafka: self.kafka.clone(),
            database: self.database("orders.db"),
            ..order_service::Settings::default()
        };
        settings.connect.url.clone_from(&self.connect);
        settings
    }

    pub(crate) fn database(&self, file: &str) -> DatabaseSettings {
        let file = self.data_dir.join(file);
        DatabaseSettings::at(&format!("sqlite://{}?mode=rwc", file.display()))
    }
}

pub(crate) fn http(bind: SocketAddr) -> HttpSettings {
    HttpSettings {
        bind,
        workers: 1,
        shutdown_timeout_s: 5,
        ..HttpSettings::on_port(bind.port())
    }
}

pub(crate) fn another_port() -> &'static str {
    "the demo cannot start (another --base-port may help)"
}
