use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future;
use reqwest::{Client, Url};

use super::ANSWER;
use super::services::{Kind, Probe};
use crate::snapshot::{ServiceState, State};

/// How long one that the name server lists no more is shown: killed it may come back, and
/// where there are fewer on purpose it is of no interest.
const REMEMBERED: Duration = Duration::from_secs(30);

/// All instances of a service: those that are set, and those that a name stands for.
pub(super) struct Fleet {
    kind: Kind,
    urls: Vec<String>,
    members: Vec<Member>,
}

struct Member {
    /// The lowest that was free when it came.
    number: usize,
    probe: Probe,
    listed_at: Instant,
    has_answered: bool,
}

impl Fleet {
    pub(super) fn new(kind: Kind, urls: &[String]) -> Self {
        Self {
            kind,
            urls: urls.to_vec(),
            members: Vec::new(),
        }
    }

    pub(super) async fn look(&mut self, client: &Client) -> Vec<ServiceState> {
        let listed = future::join_all(self.urls.iter().map(|url| instances(url))).await;
        if listed.iter().all(Option::is_some) || self.members.is_empty() {
            let each = self.urls.clone().into_iter().zip(listed);
            let found = each.flat_map(|(url, found)| found.unwrap_or_else(|| vec![url]));
            self.take_in(found.collect());
        }
        let looks = self.members.iter_mut().map(|member| member.look(client));
        future::join_all(looks).await
    }

    fn take_in(&mut self, listed: Vec<String>) {
        let now = Instant::now();
        for url in listed {
            if let Some(known) = self.members.iter_mut().find(|m| m.probe.is_of(&url)) {
                known.listed_at = now;
                continue;
            }
            let is_free = |number: &usize| self.members.iter().all(|m| m.number != *number);
            let number = (1..).find(is_free).unwrap_or(usize::MAX);
            let probe = Probe::new(self.kind.id(number), &url, self.kind.clone());
            self.members.push(Member {
                number,
                probe,
                listed_at: now,
                has_answered: false,
            });
        }
        self.members.retain(|member| {
            let is_listed = member.listed_at == now;
            is_listed || member.has_answered && now < member.listed_at + REMEMBERED
        });
        self.members.sort_by_key(|member| member.number);
    }
}

impl Member {
    async fn look(&mut self, client: &Client) -> ServiceState {
        let state = self.probe.look(client).await;
        self.has_answered |= state.state != State::Away;
        state
    }
}

/// The URLs of all that a URL stands for, by what its name is resolved to; `None` if it cannot
/// be. A certificate would not be for an address, so https stays as it is.
async fn instances(url: &str) -> Option<Vec<String>> {
    let parsed = Url::parse(url).ok()?;
    let host = parsed.host_str()?.trim_matches(['[', ']']);
    if parsed.scheme() != "http" || host.parse::<IpAddr>().is_ok() {
        return Some(vec![url.to_owned()]);
    }
    let port = parsed.port_or_known_default()?;
    let lookup = tokio::net::lookup_host((host, port));
    let found = tokio::time::timeout(ANSWER, lookup).await.ok()?;
    let mut found: Vec<_> = found.ok()?.collect();
    // One that speaks both is not two.
    if found.iter().any(SocketAddr::is_ipv4) {
        found.retain(SocketAddr::is_ipv4);
    }
    found.sort();
    found.dedup();
    let of_address = |address: SocketAddr| {
        let mut url = parsed.clone();
        url.set_ip_host(address.ip()).ok()?;
        Some(url.as_str().trim_end_matches('/').to_owned())
    };
    found.into_iter().map(of_address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(fleet: &Fleet) -> Vec<(usize, bool)> {
        let members = fleet.members.iter();
        members.map(|m| (m.number, m.has_answered)).collect()
    }

    fn listed(addresses: &[&str]) -> Vec<String> {
        addresses
            .iter()
            .map(|a| format!("http://{a}:8081"))
            .collect()
    }

    #[test]
    fn an_instance_keeps_its_number_and_is_remembered_once_it_has_answered() {
        let mut fleet = Fleet::new(Kind::Orders, &[]);
        fleet.take_in(listed(&["10.0.0.1", "10.0.0.2"]));
        fleet.members[0].has_answered = true;
        fleet.take_in(listed(&["10.0.0.3"]));
        assert_eq!(ids(&fleet), [(1, true), (3, false)]);
        fleet.take_in(listed(&["10.0.0.3", "10.0.0.4", "10.0.0.1"]));
        assert_eq!(ids(&fleet), [(1, true), (2, false), (3, false)]);
    }

    #[tokio::test]
    async fn a_name_stands_for_its_addresses_and_an_address_for_itself() {
        let address = "http://127.0.0.1:8081";
        assert_eq!(instances(address).await, Some(vec![address.to_owned()]));
        let named = instances("http://localhost:8081").await;
        assert_eq!(named, Some(vec![address.to_owned()]));
        let secure = "https://localhost:8081";
        assert_eq!(instances(secure).await, Some(vec![secure.to_owned()]));
    }
}
