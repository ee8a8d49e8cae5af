use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use sea_orm::{DatabaseConnection, DbBackend};

use crate::settings::DatabaseSettings;

/// A pool's connections by what they do, as they are when somebody asks.
#[derive(Debug)]
struct Connections(DatabaseConnection);

/// Metrics of a pool made by [`connect`](super::connect) with these settings.
pub fn register_pool(
    registry: &mut Registry,
    pool: &DatabaseConnection,
    settings: &DatabaseSettings,
) {
    registry.register(
        "database_pool_connections",
        "Open connections to the database, by whether somebody uses them",
        Connections(pool.clone()),
    );
    registry.register(
        "database_pool_max_connections",
        "Connections that may be open at once",
        ConstGauge::new(i64::from(settings.max_connections)),
    );
}

impl Connections {
    /// Open ones, and those of them that wait for work.
    fn count(&self) -> (i64, i64) {
        let (open, idle) = match self.0.get_database_backend() {
            DbBackend::MySql => {
                let pool = self.0.get_mysql_connection_pool();
                (pool.size(), pool.num_idle())
            }
            DbBackend::Postgres => {
                let pool = self.0.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            }
            _ => {
                let pool = self.0.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        (i64::from(open), i64::try_from(idle).unwrap_or(i64::MAX))
    }
}

impl EncodeMetric for Connections {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let (open, idle) = self.count();
        // The two are not read at one moment.
        for (state, count) in [("busy", (open - idle).max(0)), ("idle", idle)] {
            encoder
                .encode_family(&[("state", state)])?
                .encode_gauge(&count)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}
