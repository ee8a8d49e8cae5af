//! Requests that read, each another one.

use std::net::SocketAddr;

use e2e::{Http, World};

use super::history::History;
use crate::load::Load;
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
        let address = address(service)?;
        let get = |_| {
            let url = (self.url)(history);
            format!("GET {url} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
        };
        let requests = (0..self.requests).map(get).collect();
        let load = Load::new(requests, 200, self.requests);
        load.send(address, CONNECTIONS).await
    }
}

/// A number from 1 to this.
pub(super) fn any(most: u64) -> u64 {
    fastrand::u64(1..=most)
}

pub(super) fn address(service: &Http) -> anyhow::Result<SocketAddr> {
    Ok(service.base().trim_start_matches("http://").parse()?)
}
