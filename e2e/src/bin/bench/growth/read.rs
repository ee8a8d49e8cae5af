//! Requests that read, each another one.

use e2e::{Http, World};

use crate::history::History;
use crate::load;
use crate::measure::Run;

/// As many as the services have database connections: what is measured is no queue.
const CONNECTIONS: usize = 8;

/// A request that reads.
pub(super) struct Read {
    pub(super) path: &'static str,
    pub(super) service: Service,
    /// In each round.
    pub(super) requests: usize,
    /// Another one each time.
    pub(super) url: fn(History) -> String,
}

pub(super) const PRODUCT: Read = Read {
    path: "GET /catalog/{id}",
    service: Service::Catalog,
    requests: 5_000,
    url: |history| format!("/catalog/{}", any(history.products)),
};

#[derive(Clone, Copy)]
pub(super) enum Service {
    Orders,
    Catalog,
}

impl Read {
    pub(super) async fn run(&self, world: &World, history: History) -> anyhow::Result<Run> {
        let service: &Http = match self.service {
            Service::Orders => &world.orders[0],
            Service::Catalog => &world.catalog,
        };
        let urls = (0..self.requests).map(|_| (self.url)(history));
        load::get(crate::address(service)?, urls, CONNECTIONS).await
    }
}

/// A number from 1 to this.
pub(super) fn any(most: u64) -> u64 {
    fastrand::u64(1..=most)
}
