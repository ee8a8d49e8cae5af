use super::Environment;
use super::letter_count::LetterCount;
use super::runner::Runner;
use super::status::{ConnectorReport, ConnectorStatus, State, TaskReport, VERSION};
use crate::config::{ConnectorConfig, Kind};
use crate::dead_letters::SinkLetters;
use crate::env::Properties;
use crate::sink::TaskId;
use crate::store::{Entry, Target};

/// A connector and its tasks.
pub(super) struct Connector {
    entry: Entry,
    /// Why there are no tasks although there should be.
    failure: Option<String>,
    tasks: Vec<Task>,
    /// Where it has dead letters.
    letters: Option<LetterCount>,
}

struct Task {
    id: TaskId,
    config: ConnectorConfig,
    /// `None` while the connector is paused.
    runner: Option<Runner>,
}

impl Connector {
    pub(super) fn start(environment: &Environment, name: &str, entry: Entry) -> Self {
        let target = entry.target;
        let config = configured(environment, &entry.properties);
        let letters = config.as_ref().ok().and_then(|config| {
            let letters = SinkLetters::of(name, config, &environment.kafka)?;
            Some(LetterCount::start(environment, name, letters.topic))
        });
        let planned = match target {
            Target::Stopped => Ok(Vec::new()),
            Target::Running | Target::Paused => config.map(|config| plan(name, &config)),
        };
        let (mut tasks, failure) = match planned {
            Ok(tasks) => (tasks, None),
            Err(failure) => {
                tracing::error!(connector = name, failure, "connector failed");
                (Vec::new(), Some(failure))
            }
        };
        if target == Target::Running {
            tasks.iter_mut().for_each(|task| task.start(environment));
        }
        Self {
            entry,
            failure,
            tasks,
            letters,
        }
    }

    pub(super) async fn stop(self) {
        // All are told first, so that they stop side by side.
        self.tasks.iter().for_each(Task::tell_to_stop);
        for task in self.tasks {
            task.stop().await;
        }
    }

    pub(super) async fn restart_tasks(&mut self, environment: &Environment, only_failed: bool) {
        for task in &mut self.tasks {
            if !only_failed || task.is_failed() {
                task.restart(environment).await;
            }
        }
    }

    /// Whether there is such a task.
    pub(super) async fn restart_task(&mut self, environment: &Environment, task: usize) -> bool {
        match self.tasks.get_mut(task) {
            Some(task) => {
                task.restart(environment).await;
                true
            }
            None => false,
        }
    }

    pub(super) fn is_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// What it was started with.
    pub(super) fn entry(&self) -> Entry {
        self.entry.clone()
    }

    pub(super) fn dead_letters_waiting(&self) -> i64 {
        self.letters.as_ref().map_or(0, LetterCount::waiting)
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn status(&self, name: &str, worker_id: &str, kind: Kind) -> ConnectorStatus {
        let state = match (&self.failure, self.entry.target) {
            (Some(_), _) => State::Failed,
            (None, Target::Running) => State::Running,
            (None, Target::Paused) => State::Paused,
            (None, Target::Stopped) => State::Stopped,
        };
        let connector = ConnectorReport {
            state,
            worker_id: worker_id.to_owned(),
            version: VERSION,
            trace: self.failure.clone(),
        };
        let tasks = self
            .tasks
            .iter()
            .map(|task| task.report(worker_id))
            .collect();
        ConnectorStatus {
            name: name.to_owned(),
            connector,
            tasks,
            kind,
        }
    }
}

/// What the properties ask for, once their placeholders are filled in.
pub(super) fn configured(
    environment: &Environment,
    properties: &Properties,
) -> Result<ConnectorConfig, String> {
    let resolved = environment.resolve(properties);
    if !resolved.missing.is_empty() {
        let names: Vec<_> = resolved.missing.into_iter().collect();
        return Err(format!(
            "environment variables are not set: {}",
            names.join(", ")
        ));
    }
    ConnectorConfig::parse(&resolved.properties).map_err(|errors| errors.to_string())
}

fn plan(name: &str, config: &ConnectorConfig) -> Vec<Task> {
    let task = |number| Task {
        id: TaskId {
            connector: name.to_owned(),
            number,
        },
        config: config.clone(),
        runner: None,
    };
    (0..config.tasks_max()).map(task).collect()
}

impl Task {
    fn start(&mut self, environment: &Environment) {
        self.runner = Some(Runner::start(
            environment,
            self.id.clone(),
            self.config.clone(),
        ));
    }

    async fn restart(&mut self, environment: &Environment) {
        if let Some(runner) = self.runner.take() {
            runner.stop().await;
            self.start(environment);
        }
    }

    fn tell_to_stop(&self) {
        if let Some(runner) = &self.runner {
            runner.tell_to_stop();
        }
    }

    async fn stop(self) {
        if let Some(runner) = self.runner {
            runner.stop().await;
        }
    }

    fn is_failed(&self) -> bool {
        self.trace().is_some()
    }

    fn trace(&self) -> Option<String> {
        self.runner.as_ref().and_then(Runner::trace)
    }

    fn report(&self, worker_id: &str) -> TaskReport {
        let trace = self.trace();
        let state = match (&trace, &self.runner) {
            (Some(_), _) => State::Failed,
            (None, Some(_)) => State::Running,
            (None, None) => State::Paused,
        };
        TaskReport {
            id: self.id.number,
            state,
            worker_id: worker_id.to_owned(),
            version: VERSION,
            trace,
        }
    }
}
