#![no_main]

use connect_worker::EnvSource;
use connect_worker::config::ConnectorConfig;
use connect_worker::env::Properties;
use libfuzzer_sys::fuzz_target;

// A connector's JSON object of strings, as its REST API takes it.
fuzz_target!(|config: &[u8]| {
    if let Ok(properties) = serde_json::from_slice::<Properties>(config) {
        let resolved = EnvSource::default().resolve(&properties);
        let _ = ConnectorConfig::parse(&resolved.properties);
    }
});
