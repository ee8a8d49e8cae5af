//! Whether a configuration would do, and why not.

use serde::Serialize;

use super::{Supervisor, SupervisorError, invalid};
use crate::config::{
    Class, ConfigErrors, ConnectorConfig, Definition, Fault, definitions_of, masked,
};
use crate::env::Properties;

/// Connect's `ConfigInfos`.
#[derive(Debug, Serialize)]
pub struct ConfigInfos {
    name: String,
    error_count: usize,
    groups: Vec<String>,
    configs: Vec<ConfigInfo>,
}

#[derive(Debug, Serialize)]
struct ConfigInfo {
    /// `None` for a key that should not be there.
    definition: Option<Definition>,
    value: ConfigValue,
}

#[derive(Debug, Serialize)]
struct ConfigValue {
    name: String,
    value: Option<String>,
    recommended_values: Vec<String>,
    errors: Vec<String>,
    visible: bool,
}

impl Supervisor {
    /// Refuses a configuration with a fault, so that none is stored.
    pub(super) fn check(&self, properties: &Properties) -> Result<(), SupervisorError> {
        class_name(properties)?;
        let errors = ConfigErrors(self.faults(properties));
        match Class::of(properties) {
            _ if errors.0.is_empty() => Ok(()),
            Ok(_) => Err(invalid(errors)),
            Err(_) => Err(SupervisorError::BadRequest(errors.to_string())),
        }
    }

    /// As far as the placeholders can be filled in: where a variable is not set, the
    /// connector fails when it starts, and says which.
    fn faults(&self, properties: &Properties) -> Vec<Fault> {
        let name = name_fault(properties);
        let resolved = self.environment.resolve(properties);
        let parsed = match resolved.missing.is_empty() {
            true => ConnectorConfig::parse(&resolved.properties).map(drop),
            false => Class::of(properties).map(drop),
        };
        let others = parsed.map_or_else(|ConfigErrors(faults)| faults, |()| Vec::new());
        name.into_iter().chain(others).collect()
    }

    /// Each key that there is for the class, with its value and what is wrong with it.
    pub fn validate(&self, properties: &Properties) -> Result<ConfigInfos, SupervisorError> {
        let name = class_name(properties)?.to_owned();
        let mut faults = self.faults(properties);
        let error_count = faults.len();
        let definitions = match Class::of(properties) {
            Ok(class) => definitions_of(class, properties),
            Err(_) => Vec::new(),
        };
        let mut shown = masked(properties);
        let mut groups: Vec<String> = Vec::new();
        let mut configs = Vec::with_capacity(definitions.len());
        for definition in definitions {
            let group = definition.group.iter();
            groups.extend(
                group
                    .filter(|group| !groups.contains(group))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            let (own, others) = faults
                .into_iter()
                .partition(|fault| fault.key == definition.name);
            faults = others;
            if definition.kind == "PASSWORD"
                && let Some(value) = shown.get_mut(&definition.name)
            {
                // Connect masks them too, here.
                "[hidden]".clone_into(value);
            }
            let value = shown
                .get(&definition.name)
                .or(definition.default_value.as_ref());
            configs.push(ConfigInfo {
                value: ConfigValue::new(&definition.name, value.cloned(), own),
                definition: Some(definition),
            });
        }
        for fault in faults {
            let value = shown.get(&fault.key).cloned();
            configs.push(ConfigInfo {
                value: ConfigValue::new(&fault.key.clone(), value, vec![fault]),
                definition: None,
            });
        }
        Ok(ConfigInfos {
            name,
            error_count,
            groups,
            configs,
        })
    }
}

impl ConfigValue {
    fn new(name: &str, value: Option<String>, faults: Vec<Fault>) -> Self {
        Self {
            name: name.to_owned(),
            value,
            recommended_values: Vec::new(),
            errors: faults.into_iter().map(|fault| fault.message).collect(),
            visible: true,
        }
    }
}

fn name_fault(properties: &Properties) -> Option<Fault> {
    let message = match properties.get("name") {
        None => "Missing required configuration \"name\" which has no default value.",
        Some(name) if name.trim().is_empty() => {
            "Invalid value  for configuration name: String may not be empty"
        }
        Some(_) => return None,
    };
    Some(Fault {
        key: "name".to_owned(),
        message: message.to_owned(),
    })
}

/// Without it, there is nothing to say about the rest.
fn class_name(properties: &Properties) -> Result<&str, SupervisorError> {
    let class = properties.get("connector.class").map(String::as_str);
    class.ok_or_else(|| {
        let members: Vec<_> = masked(properties)
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        SupervisorError::BadRequest(format!(
            "Connector config {{{}}} contains no connector type",
            members.join(", ")
        ))
    })
}
