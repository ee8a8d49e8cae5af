use std::collections::VecDeque;
use std::time::Instant;

use futures_util::future;
use reqwest::Client;
use serde_json::Value;

use super::ANSWER;
use super::scrape::{Scrape, Series, quantile};
use crate::snapshot::{ServiceState, State};

/// Rates and latencies are those of about the last 2 s.
const WINDOW: usize = 5;

#[derive(Clone)]
pub(super) enum Kind {
    Orders,
    Catalog,
    /// With the name of its connector.
    Sink(String),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Orders => "order-service",
            Self::Catalog => "catalog-service",
            Self::Sink(_) => "sink",
        }
    }

    /// Of which there are usually several has a number from the first one on.
    pub(super) fn id(&self, number: usize) -> String {
        match (self, number) {
            (Self::Catalog | Self::Sink(_), 1) => self.name().to_owned(),
            _ => format!("{}-{number}", self.name()),
        }
    }

    fn count(&self) -> Series {
        match self {
            Self::Orders => Series {
                name: "http_requests",
                labels: &[r#"method="POST""#, r#"route="/orders""#],
            },
            Self::Catalog => Series {
                name: "catalog_deltas",
                labels: &[],
            },
            Self::Sink(_) => Series {
                name: "sink_records",
                labels: &[],
            },
        }
    }

    fn time(&self) -> Series {
        let (name, labels): (_, &[&str]) = match self {
            Self::Orders => ("http_request_duration_seconds", self.count().labels),
            Self::Catalog => ("catalog_batch_duration_seconds", &[]),
            Self::Sink(_) => ("sink_batch_duration_seconds", &[]),
        };
        Series { name, labels }
    }
}

/// Looks at one service.
pub(super) struct Probe {
    id: String,
    url: String,
    kind: Kind,
    scrapes: VecDeque<(Instant, Scrape)>,
}

impl Probe {
    pub(super) fn new(id: String, url: &str, kind: Kind) -> Self {
        Self {
            id,
            url: url.to_owned(),
            kind,
            scrapes: VecDeque::new(),
        }
    }

    pub(super) fn is_of(&self, url: &str) -> bool {
        self.url == url
    }

    pub(super) async fn look(&mut self, client: &Client) -> ServiceState {
        let (state, scrape) = future::join(self.state(client), self.scrape(client)).await;
        let (state, note) = state.unwrap_or_else(away);
        match scrape {
            Ok(scrape) if state != State::Away => self.keep(scrape),
            _ => self.scrapes.clear(),
        }
        ServiceState {
            kind: self.kind.name(),
            id: self.id.clone(),
            url: self.url.clone(),
            state,
            note,
            rate: self.rate(),
            p50: self.latency(0.5),
            p99: self.latency(0.99),
        }
    }

    async fn state(&self, client: &Client) -> reqwest::Result<(State, String)> {
        let path = match &self.kind {
            Kind::Orders | Kind::Catalog => "readyz".to_owned(),
            Kind::Sink(connector) => format!("connectors/{connector}/status"),
        };
        let url = format!("{}/{path}", self.url);
        let answer = client.get(url).timeout(ANSWER).send().await?;
        let found = answer.status().is_success();
        let body: Value = answer.json().await?;
        Ok(match &self.kind {
            Kind::Orders | Kind::Catalog => readiness(&body),
            Kind::Sink(_) if found => connector_state(&body),
            Kind::Sink(_) => (State::Unready, "its connector is not registered".to_owned()),
        })
    }

    async fn scrape(&self, client: &Client) -> reqwest::Result<Scrape> {
        let url = format!("{}/metrics", self.url);
        let answer = client.get(url).timeout(ANSWER).send().await?;
        Ok(Scrape::parse(&answer.error_for_status()?.text().await?))
    }

    fn keep(&mut self, scrape: Scrape) {
        let count = self.kind.count();
        let last = self.scrapes.back();
        // It counts from zero: another process.
        if last.is_some_and(|(_, last)| scrape.sum(count) < last.sum(count)) {
            self.scrapes.clear();
        }
        self.scrapes.push_back((Instant::now(), scrape));
        if self.scrapes.len() > WINDOW {
            self.scrapes.pop_front();
        }
    }

    fn rate(&self) -> Option<f64> {
        let (begun, first) = self.scrapes.front()?;
        let (ended, last) = self.scrapes.back()?;
        let seconds = ended.duration_since(*begun).as_secs_f64();
        let count = self.kind.count();
        Some(if seconds > 0.0 {
            (last.sum(count) - first.sum(count)) / seconds
        } else {
            0.0
        })
    }

    fn latency(&self, q: f64) -> Option<f64> {
        let (_, first) = self.scrapes.front()?;
        let (_, last) = self.scrapes.back()?;
        quantile(self.kind.time(), first, last, q).map(|seconds| seconds * 1_000.0)
    }
}

fn away(error: reqwest::Error) -> (State, String) {
    let note = if error.is_connect() {
        "nobody listens"
    } else {
        "it does not answer"
    };
    (State::Away, note.to_owned())
}

/// Names what is down.
fn readiness(report: &Value) -> (State, String) {
    let state = match report["status"].as_str() {
        Some("ready") => State::Ready,
        Some("degraded") => State::Degraded,
        _ => State::Unready,
    };
    let dependencies = report["dependencies"].as_object().into_iter().flatten();
    let down: Vec<_> = dependencies
        .filter(|(_, entry)| entry["status"] != "up")
        .map(|(name, entry)| format!("{name}: {}", entry["reason"].as_str().unwrap_or("down")))
        .collect();
    (state, down.join("; "))
}

fn connector_state(status: &Value) -> (State, String) {
    let tasks = status["tasks"].as_array().into_iter().flatten();
    let mut states: Vec<_> = tasks.map(|task| &task["state"]).collect();
    states.push(&status["connector"]["state"]);
    let any = |wanted: &str| states.iter().any(|state| **state == wanted);
    if any("FAILED") {
        (State::Unready, "its task has failed".to_owned())
    } else if any("PAUSED") || any("STOPPED") {
        (State::Paused, String::new())
    } else if states.len() > 1 && states.iter().all(|state| *state == "RUNNING") {
        (State::Ready, String::new())
    } else {
        (State::Unready, "starting".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gather::TIMEOUT;

    #[test]
    fn what_is_down_is_named() {
        let report = json!({"status": "degraded", "dependencies": {
            "broker": {"critical": true, "status": "up"},
            "database": {"critical": false, "status": "down", "reason": "refused"},
        }});
        let expected = (State::Degraded, "database: refused".to_owned());
        assert_eq!(readiness(&report), expected);
    }

    #[tokio::test]
    async fn one_that_accepts_and_never_answers_is_soon_away() {
        let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", frozen.local_addr().unwrap());
        let mut probe = Probe::new("frozen".to_owned(), &url, Kind::Catalog);
        let client = Client::new();
        let look = tokio::time::timeout(TIMEOUT, probe.look(&client));
        let seen = look.await.unwrap();
        assert_eq!(
            (seen.state, &*seen.note),
            (State::Away, "it does not answer")
        );
    }

    #[test]
    fn a_connector_is_ready_with_its_tasks() {
        let status = |connector: &str, tasks: &[&str]| {
            let tasks: Vec<_> = tasks.iter().map(|state| json!({"state": state})).collect();
            connector_state(&json!({"connector": {"state": connector}, "tasks": tasks})).0
        };
        assert_eq!(status("RUNNING", &["RUNNING"]), State::Ready);
        assert_eq!(status("RUNNING", &[]), State::Unready);
        assert_eq!(status("RUNNING", &["FAILED"]), State::Unready);
        assert_eq!(status("PAUSED", &["PAUSED"]), State::Paused);
    }
}
