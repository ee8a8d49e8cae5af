use serde::{Deserialize, Serialize};
use shared::kafka::KafkaSettings;
use shared::settings::{HttpSettings, LogSettings};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub http: HttpSettings,
    pub kafka: KafkaSettings,
    pub log: LogSettings,
}

impl Default for Settings {
    fn default() -> Self {
        let http = HttpSettings {
            workers: 1,
            ..HttpSettings::on_port(8083)
        };
        Self {
            http,
            kafka: KafkaSettings::default(),
            log: LogSettings::default(),
        }
    }
}
