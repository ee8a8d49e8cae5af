//! Settings: defaults in the binary, then a TOML file, then the environment.
//!
//! Each layer is checked on its own, so that a wrong or unknown setting is reported
//! with its name and the place it was written, before anything else starts.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

use crate::telemetry;

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read the settings file {path} of --config: {problem}")]
    File { path: String, problem: String },
    #[error("setting `{name}` ({source_name}): {problem}")]
    Setting {
        name: String,
        source_name: String,
        problem: String,
    },
}

/// Reads the settings of a service whose variables are `<PREFIX>__LEVEL__NAME`.
pub fn load<T>(prefix: &str, file: Option<&Path>) -> Result<T, SettingsError>
where
    T: Default + Serialize + DeserializeOwned,
{
    load_from(prefix, file, std::env::vars().collect())
}

fn load_from<T>(
    prefix: &str,
    file: Option<&Path>,
    variables: BTreeMap<String, String>,
) -> Result<T, SettingsError>
where
    T: Default + Serialize + DeserializeOwned,
{
    let defaults = Config::try_from(&T::default())
        .unwrap_or_else(|error| unreachable!("default settings serialise: {error}"));
    let mut layers = Config::builder().add_source(defaults);
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::File {
            path: path.display().to_string(),
            problem: error.to_string(),
        })?;
        layers = layers.add_source(File::from_str(&text, FileFormat::Toml));
        let source_name = |_: &str| format!("file {}", path.display());
        check::<T>(layers.build_cloned(), source_name)?;
    }
    let environment = Environment::with_prefix(prefix)
        .prefix_separator("__")
        .separator("__")
        .source(Some(variables.into_iter().collect()));
    let variable = |name: &str| {
        let name = name.replace('.', "__").to_uppercase();
        format!("environment variable {prefix}__{name}")
    };
    check(layers.add_source(environment).build(), variable)
}

fn check<T: DeserializeOwned>(
    layers: Result<Config, config::ConfigError>,
    source_name: impl Fn(&str) -> String,
) -> Result<T, SettingsError> {
    let layers = layers.map_err(|error| SettingsError::Setting {
        name: "*".to_owned(),
        source_name: source_name("*"),
        problem: error.to_string(),
    })?;
    serde_path_to_error::deserialize(layers).map_err(|error| {
        let name = error.path().to_string();
        SettingsError::Setting {
            source_name: source_name(&name),
            problem: problem(error.inner()),
            name,
        }
    })
}

/// The bare complaint: the library appends the key, which we name in front.
fn problem(error: &config::ConfigError) -> String {
    match error {
        config::ConfigError::At { error, .. } => problem(error),
        config::ConfigError::Type {
            unexpected,
            expected,
            ..
        } => format!("{unexpected} where {expected} is expected"),
        other => other.to_string(),
    }
}

/// A text that must not reach a log: passwords, and URLs that contain one.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Address and port; port 0 picks a free one.
    pub bind: SocketAddr,
    /// Threads that serve requests.
    #[serde(deserialize_with = "positive")]
    pub workers: usize,
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// How long a stop waits for requests in flight, in seconds.
    pub shutdown_timeout_s: u64,
    /// How long a stop goes on taking requests while `/readyz` says no, in seconds: time for
    /// whoever spreads the requests to notice.
    pub drain_s: u64,
    /// Web pages that may call, as `https://shop.example`; in an environment variable separated
    /// by commas. Empty: none but the service's own.
    #[serde(default, deserialize_with = "list")]
    pub cors_origins: Vec<String>,
    pub auth: AuthSettings,
}

/// Who may call. Without a key everybody may, and only a loopback address is served.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Signs the callers' JWTs by HS256; 32 bytes at least. Empty: none.
    pub hs256_secret: Secret,
    /// The public keys that verify the callers' JWTs, as a JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// What the tokens' `aud` must contain. None: anything.
    pub audience: Option<String>,
    /// Serves any address without asking who calls.
    pub allow_anonymous: bool,
}

impl HttpSettings {
    /// Defaults for a service on 127.0.0.1 at this port.
    pub fn on_port(port: u16) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], port)),
            workers: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .min(4),
            body_limit: 64 * 1024,
            shutdown_timeout_s: 15,
            drain_s: 0,
            cors_origins: Vec::new(),
            auth: AuthSettings::default(),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `mysql://`, `postgres://` or `sqlite://` URL.
    pub url: Secret,
    #[serde(deserialize_with = "positive")]
    pub max_connections: u32,
    /// Apply the migrations at start-up.
    pub migrate: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: Secret::new(""),
            max_connections: 8,
            migrate: true,
        }
    }
}

impl DatabaseSettings {
    pub fn at(url: &str) -> Self {
        Self {
            url: Secret::new(url),
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// A level (`info`) or a filter by module (`info,rdkafka=debug`); `RUST_LOG` wins.
    #[serde(deserialize_with = "log_filter")]
    pub level: String,
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

fn log_filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    telemetry::filter(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Of a file's array or a variable's text. That variables are taken as the text they are, not
/// parsed, keeps a password of digits as it is.
pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Text(String),
        Items(Vec<String>),
    }
    Ok(match List::deserialize(deserializer)? {
        List::Items(items) => items,
        List::Text(text) => text
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect(),
    })
}

/// Refuses what would do nothing for ever, or panic where it is used.
pub fn positive<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Default + PartialOrd,
{
    let number = N::deserialize(deserializer)?;
    match number > N::default() {
        true => Ok(number),
        false => Err(D::Error::custom("it must be 1 at least")),
    }
}

/// `<host name>-<port>`: the same after a restart, distinct between instances.
pub fn default_instance_id(port: u16) -> String {
    format!("{}-{port}", gethostname::gethostname().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::kafka::KafkaSettings;

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        http: HttpSettings,
        kafka: KafkaSettings,
        database: DatabaseSettings,
        log: LogSettings,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self {
                http: HttpSettings::on_port(8081),
                kafka: KafkaSettings::default(),
                database: DatabaseSettings::at("sqlite://x"),
                log: LogSettings::default(),
            }
        }
    }

    fn load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let Some(text) = file else {
            return load_from("ORDER_SERVICE", None, variables);
        };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load_from("ORDER_SERVICE", Some(file.path()), variables)
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = "[http]\nworkers = 7\nbind = \"127.0.0.1:1\"\n[kafka.properties]\n\"security.protocol\" = \"SSL\"";
        let variables = [
            ("ORDER_SERVICE__HTTP__BIND", "127.0.0.1:9"),
            ("ORDER_SERVICE__KAFKA__PROPERTIES__SASL_USERNAME", "me"),
            ("ORDER_SERVICE__DATABASE__URL", "mysql://u:1234@h/d"),
            ("ORDER_SERVICE_PORT", "tcp://10.0.0.1:8081"),
        ];
        let settings = load(Some(file), &variables).unwrap();
        assert_eq!(settings.http.bind.port(), 9);
        assert_eq!(settings.http.workers, 7);
        assert_eq!(settings.http.body_limit, 64 * 1024);
        let client = settings.kafka.client("test");
        assert_eq!(client.get("security.protocol"), Some("SSL"));
        assert_eq!(client.get("sasl.username"), Some("me"));
        assert!(!format!("{settings:?}").contains("1234"));
    }

    #[test]
    fn variables_become_what_the_setting_is() {
        let variables = [
            ("ORDER_SERVICE__HTTP__WORKERS", "3"),
            ("ORDER_SERVICE__HTTP__AUTH__ALLOW_ANONYMOUS", "true"),
            ("ORDER_SERVICE__HTTP__CORS_ORIGINS", "https://a, https://b"),
            ("ORDER_SERVICE__KAFKA__PROPERTIES__SASL_PASSWORD", "0123"),
        ];
        let settings = load(None, &variables).unwrap();
        assert_eq!(settings.http.workers, 3);
        assert!(settings.http.auth.allow_anonymous);
        assert_eq!(settings.http.cors_origins, ["https://a", "https://b"]);
        let client = settings.kafka.client("test");
        assert_eq!(client.get("sasl.password"), Some("0123"));
        let file = "[http]\ncors_origins = [\"https://c\"]";
        let settings = load(Some(file), &[]).unwrap();
        assert_eq!(settings.http.cors_origins, ["https://c"]);
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_source_and_what_is_allowed() {
        let error = load(Some("[http]\nbnid = 1"), &[]).unwrap_err().to_string();
        assert!(error.contains("`http.bnid` (file "), "{error}");
        assert!(error.contains("expected one of `bind`"), "{error}");
        let error = load(None, &[("ORDER_SERVICE__HTTP__BNID", "1")])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("environment variable ORDER_SERVICE__HTTP__BNID"),
            "{error}"
        );
        assert!(error.contains("expected one of `bind`"), "{error}");
    }

    #[test]
    fn a_bad_value_is_named_with_its_source() {
        let error = load(None, &[("ORDER_SERVICE__HTTP__WORKERS", "many")]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("environment variable ORDER_SERVICE__HTTP__WORKERS"),
            "{error}"
        );
        assert!(error.contains("many"), "{error}");
        let error = load(Some("[http]\nbind = \"nowhere\""), &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("`http.bind` (file "), "{error}");
    }

    #[test]
    fn a_number_that_would_do_nothing_is_named_with_its_source() {
        let error = load(None, &[("ORDER_SERVICE__HTTP__WORKERS", "0")]).unwrap_err();
        let (source, problem) = (
            "environment variable ORDER_SERVICE__HTTP__WORKERS",
            "1 at least",
        );
        let error = error.to_string();
        assert!(error.contains(source) && error.contains(problem), "{error}");
        let error = load(Some("[database]\nmax_connections = 0"), &[]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("`database.max_connections` (file "),
            "{error}"
        );
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn a_level_that_is_none_is_refused_and_a_filter_is_not() {
        for good in [
            "info",
            "INFO",
            "off",
            "info,rdkafka=debug",
            "order_service=trace",
        ] {
            let variables = [("ORDER_SERVICE__LOG__LEVEL", good)];
            assert!(load(None, &variables).is_ok(), "{good}");
        }
        for bad in ["inof", "info,rdkafka", "rdkafka=inof"] {
            let variables = [("ORDER_SERVICE__LOG__LEVEL", bad)];
            let error = load(None, &variables).unwrap_err().to_string();
            assert!(
                error.contains("environment variable ORDER_SERVICE__LOG__LEVEL"),
                "{error}"
            );
            assert!(error.contains(bad.rsplit(',').next().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_or_parsed_is_named() {
        let missing = load_from::<Settings>("X", Some(Path::new("no/such.toml")), BTreeMap::new());
        assert!(missing.unwrap_err().to_string().contains("no/such.toml"));
        let error = load(Some("[http\n"), &[]).unwrap_err().to_string();
        assert!(error.contains("file "), "{error}");
    }
}
