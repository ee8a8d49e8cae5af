//! The connectors' configurations, as their authors wrote them.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use crate::env::Properties;

/// In memory: whoever registers connectors registers them again after a restart.
#[derive(Debug, Default)]
pub struct ConnectorStore {
    connectors: RwLock<BTreeMap<String, Properties>>,
}

impl ConnectorStore {
    pub fn names(&self) -> Vec<String> {
        self.connectors.read().keys().cloned().collect()
    }

    pub fn get(&self, name: &str) -> Option<Properties> {
        self.connectors.read().get(name).cloned()
    }

    pub fn put(&self, name: &str, properties: Properties) {
        self.connectors.write().insert(name.to_owned(), properties);
    }

    pub fn remove(&self, name: &str) {
        self.connectors.write().remove(name);
    }
}
