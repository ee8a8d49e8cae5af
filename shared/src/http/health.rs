use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum State {
    Up,
    Down { reason: String },
}

impl State {
    fn starting() -> Self {
        Self::Down {
            reason: "starting".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct Entry {
    critical: bool,
    #[serde(flatten)]
    state: State,
    /// When it last went away or came back; not when it came up first.
    #[serde(skip)]
    changed: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    dependency: &'static str,
}

/// What a service depends on, and how each part is doing.
#[derive(Clone, Default)]
pub struct Health {
    dependencies: Arc<Mutex<BTreeMap<&'static str, Entry>>>,
    counts: Arc<Mutex<BTreeMap<&'static str, Count>>>,
    stopping: Arc<AtomicBool>,
    up: Family<Labels, Gauge>,
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

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "dependency_up",
            "1 if it works, 0 if it does not",
            self.up.clone(),
        );
    }

    /// From now on not ready, whatever works: nobody should send more.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn add(&self, name: &'static str, critical: bool) -> Dependency {
        let entry = Entry {
            critical,
            state: State::starting(),
            changed: None,
        };
        self.dependencies.lock().insert(name, entry);
        self.up.get_or_create(&Labels { dependency: name }).set(0);
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
        let stopping = self.stopping.load(Ordering::Relaxed);
        let (ready, status) = match (stopping, down(true), down(false)) {
            (true, _, _) => (false, "stopping"),
            (false, true, _) => (false, "unready"),
            (false, false, true) => (true, "degraded"),
            (false, false, false) => (true, "ready"),
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

    pub fn is_up(&self) -> bool {
        self.is_settled(Duration::ZERO)
    }

    /// Whether it works, and has for so long since it last did not. Before it came up first there
    /// was nothing to lose.
    pub fn is_settled(&self, after: Duration) -> bool {
        let entries = self.health.dependencies.lock();
        entries.get(self.name).is_some_and(|entry| {
            let since = entry.changed;
            entry.state == State::Up && since.is_none_or(|since| since.elapsed() >= after)
        })
    }

    /// One log line per change, not per attempt.
    fn set(&self, state: State) {
        let mut entries = self.health.dependencies.lock();
        let Some(entry) = entries.get_mut(self.name) else {
            return;
        };
        let was_up = entry.state == State::Up;
        let is_first = entry.state == State::starting();
        match &state {
            State::Up if !was_up => tracing::info!(dependency = self.name, "up"),
            State::Down { reason } if was_up => {
                tracing::warn!(dependency = self.name, reason, "down");
            }
            State::Down { reason } if is_first => {
                tracing::info!(dependency = self.name, reason, "not up yet");
            }
            _ => {}
        }
        let labels = Labels {
            dependency: self.name,
        };
        let is_up = state == State::Up;
        self.health.up.get_or_create(&labels).set(i64::from(is_up));
        if was_up != is_up && (was_up || entry.changed.is_some()) {
            entry.changed = Some(Instant::now());
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
    fn after_an_outage_a_dependency_has_to_settle() {
        let long = Duration::from_secs(3_600);
        let broker = Health::default().critical("broker");
        broker.down("not there yet");
        assert!(!broker.is_settled(Duration::ZERO));
        broker.up();
        assert!(broker.is_settled(long));
        broker.down("gone");
        assert!(!broker.is_settled(Duration::ZERO));
        broker.up();
        assert!(broker.is_up());
        assert!(!broker.is_settled(long));
    }

    #[test]
    fn metrics_say_what_is_up() {
        let (health, mut registry) = (Health::default(), Registry::default());
        health.register(&mut registry);
        health.critical("broker").up();
        let sink = health.degrading("sink");
        let shown = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            ["broker", "sink"]
                .map(|name| text.contains(&format!("dependency_up{{dependency=\"{name}\"}} 1")))
        };
        assert_eq!(shown(), [true, false]);
        sink.up();
        assert_eq!(shown(), [true, true]);
        sink.down("is PAUSED");
        assert_eq!(shown(), [true, false]);
    }

    #[test]
    fn a_service_that_stops_is_not_ready() {
        let health = Health::default();
        health.critical("broker").up();
        assert!(health.report().0);
        health.stopping();
        let (ready, report) = health.report();
        assert!(!ready);
        assert_eq!(report.status, "stopping");
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
