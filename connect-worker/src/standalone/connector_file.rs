use std::path::Path;

use serde::de::DeserializeOwned;

use super::FileError;
use super::worker_file::read_properties;
use crate::env::Properties;
use crate::rest::{CreateConnector, PutConfig};
use crate::store::Target;

/// A connector to be created at the start.
#[derive(Debug, PartialEq, Eq)]
pub struct NewConnector {
    pub name: String,
    pub properties: Properties,
    pub target: Target,
}

/// Reads Java properties, or JSON: the configuration alone, or the body of a
/// `POST /connectors`.
pub fn read_connector(file: &Path) -> Result<NewConnector, FileError> {
    let refused = |problem: String| FileError::Connector {
        path: file.display().to_string(),
        problem,
    };
    let text = std::fs::read(file).map_err(|error| FileError::Unreadable {
        path: file.display().to_string(),
        problem: error.to_string(),
    })?;
    let is_json = text.trim_ascii_start().starts_with(b"{");
    let properties = match is_json {
        false => read_properties(file)?,
        true => match whole::<CreateConnector>(&text) {
            Some(Ok(request)) => {
                return Ok(NewConnector {
                    name: request.name.trim().to_owned(),
                    properties: request.config,
                    target: request.initial_state,
                });
            }
            Some(Err(error)) => return Err(refused(error.to_string())),
            None => {
                let config: Result<PutConfig, _> = serde_json::from_slice(&text);
                config.map_err(|error| refused(error.to_string()))?.config
            }
        },
    };
    let name = properties.get("name").map(|name| name.trim().to_owned());
    let name = name.ok_or_else(|| {
        // As Connect says it.
        refused(
            "the connector configuration is missing the mandatory 'name' configuration".to_owned(),
        )
    })?;
    Ok(NewConnector {
        name,
        properties,
        target: Target::default(),
    })
}

/// A body of a request, if it is one: it has a member `config` of its own.
fn whole<T: DeserializeOwned>(text: &[u8]) -> Option<Result<T, serde_json::Error>> {
    let json: serde_json::Value = serde_json::from_slice(text).ok()?;
    json.get("config")?
        .is_object()
        .then(|| serde_json::from_slice(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<NewConnector, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        read_connector(&file).map_err(|error| {
            error
                .to_string()
                .replace(&folder.path().display().to_string(), "")
        })
    }

    #[test]
    fn properties_and_both_forms_of_json_say_the_same() {
        let expected = read(
            "a.properties",
            "# a comment\nname=my-sink\ntopics = a,\\\n  b\ntable.name.format: ${topic}\n",
        );
        let properties = [
            ("name", "my-sink"),
            ("table.name.format", "${topic}"),
            ("topics", "a,b"),
        ];
        let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let connector = NewConnector {
            name: "my-sink".to_owned(),
            properties: properties.into(),
            target: Target::Running,
        };
        assert_eq!(expected, Ok(connector));
        let flat = r#"{"name": "my-sink", "topics": "a,b", "table.name.format": "${topic}"}"#;
        assert_eq!(read("b.json", flat), expected);
        let whole =
            format!(r#"{{"name": "my-sink", "config": {flat}, "initial_state": "PAUSED"}}"#);
        let paused = read("c.json", &whole).unwrap();
        assert_eq!(paused.target, Target::Paused);
        assert_eq!(paused.properties, expected.unwrap().properties);
    }

    #[test]
    fn what_is_no_connector_is_told_in_one_sentence() {
        assert_eq!(
            read("a.properties", "topics=a"),
            Err("/a.properties: the connector configuration is missing the mandatory 'name' configuration".to_owned())
        );
        let broken = read("a.json", "{\"name\": ").unwrap_err();
        assert!(broken.starts_with("/a.json: EOF"), "{broken}");
        let absent = read_connector(Path::new("/nowhere/a.properties")).unwrap_err();
        assert!(
            absent
                .to_string()
                .starts_with("cannot read /nowhere/a.properties: ")
        );
    }
}
