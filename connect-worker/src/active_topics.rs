use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

/// The topics that each connector has consumed or produced records of, as its tasks tell.
#[derive(Debug, Clone, Default)]
pub struct ActiveTopics(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl ActiveTopics {
    pub fn add(&self, connector: &str, topics: impl IntoIterator<Item = String>) {
        let mut topics = topics.into_iter().peekable();
        if topics.peek().is_some() {
            let mut all = self.0.lock();
            all.entry(connector.to_owned()).or_default().extend(topics);
        }
    }

    pub fn of(&self, connector: &str) -> BTreeSet<String> {
        self.0.lock().get(connector).cloned().unwrap_or_default()
    }

    pub fn forget(&self, connector: &str) {
        self.0.lock().remove(connector);
    }
}
