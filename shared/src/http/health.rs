use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum State {
    Up,
    Down { reason: String },
}

#[derive(Debug, Clone, Serialize)]
struct Entry {
    critical: bool,
    #[serde(flatten)]
    state: State,
}

/// What a service depends on, and how each part is doing.
#[derive(Clone, Default)]
pub struct Health {
    dependencies: Arc<Mutex<BTreeMap<&'static str, Entry>>>,
    counts: Arc<Mutex<BTreeMap<&'static str, Count>>>,
}

type Count = Box<dyn Fn() -> i64 + Send>;

/// A handle on one dependency, for whoever learns whether it works.
#[derive(Clone)]
pub struct Dependency {
    name: &'static str,
    health: Health,
}

#[derive(Serialize)]
pub(super) struct Report {
    status: &'static str,
    dependencies: BTreeMap<&'static str, Entry>,
    #[serde(flatten)]
    counts: BTreeMap<&'static str, i64>,
}

impl Health {
    /// A number that people want to see beside the dependencies; it decides nothing.
    pub fn count(&self, name: &'static str, now: impl Fn() -> i64 + Send + 'static) {
        self.counts.lock().insert(name, Box::new(now));
    }

    /// A dependency without which the service is not ready.
    pub fn critical(&self, name: &'static str) -> Dependency {
        self.add(name, true)
    }

    /// A dependency without which the service does less, and says so.
    pub fn degrading(&self, name: &'static str) -> Dependency {
        self.add(name, false)
    }

    fn add(&self, name: &'static str, critical: bool) -> Dependency {
        let state = State::Down {
            reason: "starting".to_owned(),
        };
        self.dependencies
            .lock()
            .insert(name, Entry { critical, state });
        Dependency {
            name,
            health: self.clone(),
        }
    }

    /// The detail behind `/readyz`, and whether the service is ready.
    pub(super) fn report(&self) -> (bool, Report) {
        let dependencies = self.dependencies.lock().clone();
        let counts = self.counts.lock();
        let counts = counts.iter().map(|(name, count)| (*name, count()));
        let down = |critical| {
            let mut entries = dependencies.values();
            entries.any(|entry| entry.critical == critical && entry.state != State::Up)
        };
        let (ready, status) = match (down(true), down(false)) {
            (true, _) => (false, "unready"),
            (false, true) => (true, "degraded"),
            (false, false) => (true, "ready"),
        };
        (
            ready,
            Report {
                status,
                dependencies,
                counts: counts.collect(),
            },
        )
    }
}

impl Dependency {
    pub fn up(&self) {
        self.set(State::Up);
    }

    pub fn down(&self, reason: impl Into<String>) {
        self.set(State::Down {
            reason: reason.into(),
        });
    }

    /// One log line per change, not per attempt.
    fn set(&self, state: State) {
        let mut entries = self.health.dependencies.lock();
        let Some(entry) = entries.get_mut(self.name) else {
            return;
        };
        let was_up = entry.state == State::Up;
        match &state {
            State::Up if !was_up => tracing::info!(dependency = self.name, "up"),
            State::Down { reason } if was_up => {
                tracing::warn!(dependency = self.name, reason, "down");
            }
            _ => {}
        }
        entry.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_critical_dependency_decides_and_another_degrades() {
        let health = Health::default();
        let broker = health.critical("broker");
        let database = health.degrading("database");
        assert!(!health.report().0);
        broker.up();
        database.up();
        assert_eq!(health.report().1.status, "ready");
        database.down("refused");
        let (ready, report) = health.report();
        assert!(ready);
        assert_eq!(report.status, "degraded");
        assert_eq!(
            serde_json::to_value(&report.dependencies["database"]).unwrap(),
            serde_json::json!({"critical": false, "status": "down", "reason": "refused"})
        );
        broker.down("gone");
        assert!(!health.report().0);
    }

    #[test]
    fn a_count_is_told_and_decides_nothing() {
        let health = Health::default();
        health.count("dead_letters", || 3);
        let (ready, report) = health.report();
        assert!(ready);
        let expected =
            serde_json::json!({"status": "ready", "dependencies": {}, "dead_letters": 3});
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
    }
}
