//! Keeps the sink's connector registered, current and running.
//!
//! Every instance may do so at once: each step is idempotent. Whatever happens to
//! Connect's own state, the connector comes back without anybody's help.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use shared::backoff::Backoff;
use shared::http::Dependency;
use shared::settings::Secret;
use tokio_util::sync::CancellationToken;

use crate::metrics::ConnectorState;
use crate::settings::ConnectSettings;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A connector as its JSON file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connector {
    name: String,
    config: BTreeMap<String, String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectorError {
    #[error("setting `connect.connector`: cannot read {path}: {problem}")]
    Unreadable { path: String, problem: String },
}

impl Connector {
    /// Reads the file, or takes the connector that is compiled in.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConnectorError> {
        let unreadable = |problem: String| ConnectorError::Unreadable {
            path: path.map_or("the built-in connector".to_owned(), |path| {
                path.display().to_string()
            }),
            problem,
        };
        let text = match path {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?
            }
            None => include_str!("../../connectors/orders-sink.json").to_owned(),
        };
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
    }

    /// The configuration as Connect shows it: with the name inside.
    fn registered_form(&self) -> BTreeMap<String, String> {
        let mut config = self.config.clone();
        config.insert("name".to_owned(), self.name.clone());
        config
    }
}

/// What Connect knows of the connector.
#[derive(Debug, PartialEq, Eq)]
struct Observed {
    config: Option<BTreeMap<String, String>>,
    status: Option<Status>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Status {
    connector: Part,
    tasks: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Part {
    state: String,
    #[serde(default)]
    trace: String,
}

impl Status {
    fn failed(&self) -> Option<&Part> {
        self.parts().find(|part| part.state == "FAILED")
    }

    fn not_running(&self) -> Option<&Part> {
        self.parts().find(|part| part.state != "RUNNING")
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.connector).chain(&self.tasks)
    }
}

impl Observed {
    /// Of the connector and its tasks, the worst.
    fn state(&self) -> &str {
        if self.config.is_none() {
            return "MISSING";
        }
        let Some(status) = &self.status else {
            return "UNASSIGNED";
        };
        match status.failed().or_else(|| status.not_running()) {
            Some(part) => &part.state,
            None if status.tasks.is_empty() => "UNASSIGNED",
            None => "RUNNING",
        }
    }
}

/// The one next step.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// All is well.
    Nothing,
    /// Not there, or not as the file says.
    Put,
    /// Something failed; the first line of its trace says why.
    Restart(String),
    /// On its way.
    Wait(String),
}

fn next_step(connector: &Connector, observed: &Observed) -> Step {
    if observed.config.as_ref() != Some(&connector.registered_form()) {
        return Step::Put;
    }
    let Some(status) = &observed.status else {
        return Step::Wait("has no status yet".to_owned());
    };
    if let Some(failed) = status.failed() {
        return Step::Restart(failed.trace.lines().next().unwrap_or("failed").to_owned());
    }
    match status.not_running() {
        Some(part) => Step::Wait(format!("is {}", part.state)),
        None if status.tasks.is_empty() => Step::Wait("has no task yet".to_owned()),
        None => Step::Nothing,
    }
}

pub(crate) struct Registrar {
    connector: Connector,
    url: String,
    every: Duration,
    client: Client,
    health: Dependency,
    state: ConnectorState,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrarError {
    #[error("setting `connect.token`: a header cannot hold it; a file's last line break, perhaps?")]
    Token,
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

fn client(token: &Secret) -> Result<Client, RegistrarError> {
    let mut headers = HeaderMap::new();
    if !token.expose().is_empty() {
        let bearer = format!("Bearer {}", token.expose());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| RegistrarError::Token)?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(Client::builder()
        .timeout(TIMEOUT)
        .default_headers(headers)
        .build()?)
}

impl Registrar {
    pub(crate) fn new(
        settings: &ConnectSettings,
        connector: Connector,
        health: Dependency,
        state: ConnectorState,
    ) -> Result<Self, RegistrarError> {
        Ok(Self {
            connector,
            url: settings.url.trim_end_matches('/').to_owned(),
            every: Duration::from_secs(settings.every_s),
            client: client(&settings.token)?,
            health,
            state,
        })
    }

    /// Looks after the connector until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let pause = match self.look_after().await {
                Ok(Step::Nothing) => {
                    self.health.up();
                    backoff.reset();
                    self.every
                }
                Ok(Step::Put) => {
                    self.health.down("registered just now");
                    backoff.next_delay()
                }
                Ok(Step::Restart(why)) => {
                    self.health
                        .down(format!("{} failed: {why}", self.connector.name));
                    backoff.next_delay()
                }
                Ok(Step::Wait(why)) => {
                    self.health.down(format!("{} {why}", self.connector.name));
                    backoff.next_delay()
                }
                Err(error) => {
                    self.state.is(&self.connector.name, "UNREACHABLE");
                    self.health
                        .down(format!("{}: {}", self.url, root_cause(&error)));
                    backoff.next_delay()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One round: observe, decide, act.
    async fn look_after(&self) -> reqwest::Result<Step> {
        let observed = self.observe().await?;
        self.state.is(&self.connector.name, observed.state());
        let step = next_step(&self.connector, &observed);
        match &step {
            Step::Put => {
                let request = self.client.put(self.path("/config"));
                accepted(request.json(&self.connector.config).send().await?).await?;
                tracing::info!(connector = self.connector.name, "connector registered");
            }
            Step::Restart(why) => {
                tracing::warn!(
                    connector = self.connector.name,
                    why,
                    "restarting the failed connector"
                );
                let path = self.path("/restart?includeTasks=true&onlyFailed=true");
                accepted(self.client.post(path).send().await?).await?;
            }
            Step::Nothing | Step::Wait(_) => {}
        }
        Ok(step)
    }

    async fn observe(&self) -> reqwest::Result<Observed> {
        Ok(Observed {
            config: found(self.client.get(self.path("/config")).send().await?).await?,
            status: found(self.client.get(self.path("/status")).send().await?).await?,
        })
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/connectors/{}{rest}", self.url, self.connector.name)
    }
}

async fn found<T: for<'de> Deserialize<'de>>(response: Response) -> reqwest::Result<Option<T>> {
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    response.error_for_status()?.json().await.map(Some)
}

/// Connect's own words are worth more than a status code.
async fn accepted(response: Response) -> reqwest::Result<()> {
    let Err(error) = response.error_for_status_ref() else {
        return Ok(());
    };
    let body = response.text().await.unwrap_or_default();
    tracing::warn!(%error, body, "Connect refused");
    Err(error)
}

/// `reqwest` says only which request failed; its innermost cause says why.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector() -> Connector {
        Connector::load(None).unwrap()
    }

    fn observed(connector: &str, tasks: &[&str]) -> Observed {
        let part = |state: &str| Part {
            state: state.to_owned(),
            trace: "org.apache.kafka.connect.errors.ConnectException: gone\n\tat x".to_owned(),
        };
        Observed {
            config: Some(self::connector().registered_form()),
            status: Some(Status {
                connector: part(connector),
                tasks: tasks.iter().copied().map(part).collect(),
            }),
        }
    }

    #[test]
    fn a_missing_or_changed_connector_is_put() {
        let missing = Observed {
            config: None,
            status: None,
        };
        assert_eq!(next_step(&connector(), &missing), Step::Put);
        let mut changed = observed("RUNNING", &["RUNNING"]);
        changed
            .config
            .as_mut()
            .unwrap()
            .insert("tasks.max".into(), "99".into());
        assert_eq!(next_step(&connector(), &changed), Step::Put);
    }

    #[test]
    fn a_failed_task_is_restarted_and_says_why() {
        let step = next_step(&connector(), &observed("RUNNING", &["RUNNING", "FAILED"]));
        let why = "org.apache.kafka.connect.errors.ConnectException: gone".to_owned();
        assert_eq!(step, Step::Restart(why));
    }

    #[test]
    fn a_running_connector_with_tasks_is_left_alone() {
        assert_eq!(
            next_step(&connector(), &observed("RUNNING", &["RUNNING"])),
            Step::Nothing
        );
        for (state, tasks) in [
            ("RUNNING", &[][..]),
            ("UNASSIGNED", &["RUNNING"]),
            ("RUNNING", &["PAUSED"]),
        ] {
            let step = next_step(&connector(), &observed(state, tasks));
            assert!(matches!(step, Step::Wait(_)), "{step:?}");
        }
    }

    #[test]
    fn the_worst_of_a_connector_and_its_tasks_is_its_state() {
        let state = |connector: &str, tasks: &[&str]| observed(connector, tasks).state().to_owned();
        assert_eq!(state("RUNNING", &["RUNNING", "RUNNING"]), "RUNNING");
        assert_eq!(state("RUNNING", &["PAUSED", "FAILED"]), "FAILED");
        assert_eq!(state("PAUSED", &["PAUSED"]), "PAUSED");
        assert_eq!(state("RUNNING", &[]), "UNASSIGNED");
        let missing = Observed {
            config: None,
            status: None,
        };
        assert_eq!(missing.state(), "MISSING");
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_by_its_settings_name() {
        assert!(client(&Secret::new("token")).is_ok());
        let error = client(&Secret::new("token\n")).unwrap_err().to_string();
        assert!(error.contains("`connect.token`"), "{error}");
    }

    #[test]
    fn a_connector_file_that_cannot_be_read_is_named() {
        let error = Connector::load(Some(Path::new("no/such.json"))).unwrap_err();
        assert!(error.to_string().contains("no/such.json"));
    }
}
