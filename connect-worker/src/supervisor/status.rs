//! What Connect's REST API tells of connectors and tasks.

use serde::Serialize;

use crate::config::Kind;
use crate::env::Properties;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    Running,
    /// Between two runs.
    Restarting,
    Paused,
    Stopped,
    Failed,
    /// Another worker runs it.
    Unassigned,
}

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Clone, Serialize)]
pub struct ConnectorInfo {
    pub name: String,
    pub config: Properties,
    pub tasks: Vec<ConnectorTask>,
    #[serde(rename = "type")]
    pub kind: Kind,
}

#[derive(Debug, Clone, Serialize)]
pub struct ConnectorTask {
    pub connector: String,
    pub task: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct TaskInfo {
    pub id: ConnectorTask,
    pub config: Properties,
}

#[derive(Debug, Clone, Serialize)]
pub struct ConnectorStatus {
    pub name: String,
    pub connector: ConnectorReport,
    pub tasks: Vec<TaskReport>,
    #[serde(rename = "type")]
    pub kind: Kind,
}

#[derive(Debug, Clone, Serialize)]
pub struct ConnectorReport {
    pub state: State,
    pub worker_id: String,
    /// Of the plugin.
    pub version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct TaskReport {
    pub id: usize,
    pub state: State,
    pub worker_id: String,
    /// Of the plugin.
    pub version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl ConnectorInfo {
    pub fn new(name: &str, config: Properties, tasks: usize, kind: Kind) -> Self {
        let task = |task| ConnectorTask {
            connector: name.to_owned(),
            task,
        };
        Self {
            name: name.to_owned(),
            config,
            tasks: (0..tasks).map(task).collect(),
            kind,
        }
    }
}

impl ConnectorStatus {
    /// With what a restart will restart.
    pub(super) fn restarting(mut self, include_tasks: bool, only_failed: bool) -> Self {
        let restarts = |state| !only_failed || state == State::Failed;
        if restarts(self.connector.state) {
            self.connector.state = State::Restarting;
        }
        for task in self.tasks.iter_mut().filter(|_| include_tasks) {
            if restarts(task.state) {
                task.state = State::Restarting;
            }
        }
        self
    }

    /// While somebody changes the connector, or where another worker runs it.
    pub fn without_tasks(name: &str, state: State, worker_id: &str, kind: Kind) -> Self {
        let connector = ConnectorReport {
            state,
            worker_id: worker_id.to_owned(),
            version: VERSION,
            trace: None,
        };
        Self {
            name: name.to_owned(),
            connector,
            tasks: Vec::new(),
            kind,
        }
    }
}
