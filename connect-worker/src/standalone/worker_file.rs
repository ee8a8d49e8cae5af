use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use super::{FileError, WorkerFile};
use crate::config::check_defaults;
use crate::env::Properties;
use crate::settings::{Settings, StoreSettings};

/// Keys of Connect's that say how it is built, or what is done here anyway.
const WITHOUT_EFFECT: [&str; 22] = [
    "auto.include.jmx.reporter",
    "client.id",
    "config.providers.env.class",
    "connector.client.config.override.policy",
    "header.converter",
    "internal.key.converter",
    "internal.key.converter.schemas.enable",
    "internal.value.converter",
    "internal.value.converter.schemas.enable",
    "metric.reporters",
    // Each batch's offset is stored at once.
    "offset.flush.interval.ms",
    "offset.flush.timeout.ms",
    "plugin.discovery",
    "plugin.path",
    "rest.advertised.host.name",
    "rest.advertised.listener",
    "rest.advertised.port",
    "rest.extension.classes",
    "task.shutdown.graceful.timeout.ms",
    "topic.creation.enable",
    "topic.tracking.allow.reset",
    "topic.tracking.enable",
];

/// Properties that Java's Kafka client and librdkafka share.
const CLIENT: [&str; 16] = [
    "client.dns.lookup",
    "connections.max.idle.ms",
    "metadata.max.age.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.cipher.suites",
];

/// What Java reads and librdkafka does not, and what to write instead.
const JAVA_ONLY: [(&str, &str); 3] = [
    ("sasl.jaas.config", "write sasl.username and sasl.password"),
    (
        "ssl.keystore.location",
        "write ssl.certificate.location and ssl.key.location, PEM files",
    ),
    (
        "ssl.truststore.location",
        "write ssl.ca.location, a PEM file",
    ),
];

/// Reads a standalone worker's properties. `base` has what Connect has no key for.
pub fn read_worker(file: &Path, base: Settings) -> Result<WorkerFile, FileError> {
    let mut reader = Reader {
        path: file.display().to_string(),
        properties: read_properties(file)?,
    };
    let mut settings = Settings {
        store: StoreSettings::in_memory(),
        ..base
    };
    if let Some(servers) = reader.take("bootstrap.servers") {
        settings.kafka.bootstrap_servers = servers;
    }
    if let Some(listeners) = reader.take("listeners") {
        settings.http.bind = reader.address(&listeners)?;
    }
    let offsets = reader.take("offset.storage.file.filename");
    let offsets = offsets.map(PathBuf::from).ok_or_else(|| {
        let problem = "Missing required configuration: name the file for the offsets of sources";
        reader.bad("offset.storage.file.filename", problem)
    })?;
    reader.providers()?;
    settings.kafka.properties.extend(reader.client()?);
    let defaults = reader.defaults()?;
    for key in WITHOUT_EFFECT {
        reader.take(key);
    }
    Ok(WorkerFile {
        settings,
        defaults,
        offsets,
        ignored: reader.properties.into_keys().collect(),
    })
}

pub(super) fn read_properties(file: &Path) -> Result<Properties, FileError> {
    let unreadable = |problem: String| FileError::Unreadable {
        path: file.display().to_string(),
        problem,
    };
    let opened = File::open(file).map_err(|error| unreadable(error.to_string()))?;
    let read = java_properties::read(BufReader::new(opened));
    let read = read.map_err(|error| unreadable(error.to_string()))?;
    Ok(read.into_iter().collect())
}

/// What has not been taken yet.
struct Reader {
    path: String,
    properties: Properties,
}

impl Reader {
    /// A key without a value counts as absent.
    fn take(&mut self, key: &str) -> Option<String> {
        let value = self.properties.remove(key)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn take_family(&mut self, prefix: &str) -> Properties {
        let is_of_family = |key: &String, _: &mut String| key.starts_with(prefix);
        self.properties.extract_if(.., is_of_family).collect()
    }

    fn bad(&self, key: &str, problem: &str) -> FileError {
        FileError::Worker {
            path: self.path.clone(),
            key: key.to_owned(),
            problem: problem.to_owned(),
        }
    }

    /// The first listener; one is served.
    fn address(&self, listeners: &str) -> Result<SocketAddr, FileError> {
        let first = listeners.split(',').next().unwrap_or_default().trim();
        let problem =
            format!("{first} is not http://host:port, which is what connect-worker serves");
        let bad = || self.bad("listeners", &problem);
        let (scheme, address) = first.split_once("://").ok_or_else(bad)?;
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(bad());
        }
        // As in Connect: no host is every address.
        let address = match address.trim_end_matches('/') {
            port if port.starts_with(':') => format!("0.0.0.0{port}"),
            address => address.to_owned(),
        };
        let mut found = address.to_socket_addrs().map_err(|_| bad())?;
        found.next().ok_or_else(bad)
    }

    fn providers(&mut self) -> Result<(), FileError> {
        let providers = self.take("config.providers").unwrap_or_default();
        let mut providers = providers.split(',').map(str::trim);
        match providers.find(|name| !["", "env"].contains(name)) {
            Some(other) => {
                let problem = format!("connect-worker fills in ${{env:NAME}}, not ${{{other}:…}}");
                Err(self.bad("config.providers", &problem))
            }
            None => Ok(()),
        }
    }

    /// For every Kafka client.
    fn client(&mut self) -> Result<BTreeMap<String, String>, FileError> {
        for (key, instead) in JAVA_ONLY {
            if self.take(key).is_some() {
                let problem = format!("connect-worker has no Java client: {instead}");
                return Err(self.bad(key, &problem));
            }
        }
        let taken = CLIENT.map(|key| Some((key.to_owned(), self.take(key)?)));
        Ok(taken.into_iter().flatten().collect())
    }

    fn defaults(&mut self) -> Result<Properties, FileError> {
        let mut defaults = self.take_family("key.converter");
        defaults.extend(self.take_family("value.converter"));
        let consumer = self.take_family("consumer.");
        defaults.extend(consumer.into_iter().map(|(key, value)| {
            let name = key.strip_prefix("consumer.").unwrap_or(&key);
            (format!("consumer.override.{name}"), value)
        }));
        match check_defaults(&defaults) {
            Ok(()) => Ok(defaults),
            Err(errors) => {
                let key = errors.0.first().map_or("", |fault| fault.key.as_str());
                Err(self.bad(key, &errors.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<WorkerFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("worker.properties");
        std::fs::write(&file, text).unwrap();
        let read = read_worker(&file, Settings::default());
        read.map_err(|error| {
            error
                .to_string()
                .replace(&file.display().to_string(), "FILE")
        })
    }

    /// That of Kafka's distribution, with other hosts.
    const CONNECT_STANDALONE: &str = "
bootstrap.servers=kafka:9092
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=true
value.converter.schemas.enable=false
offset.storage.file.filename=/tmp/connect.offsets
offset.flush.interval.ms=10000
listeners=HTTP://localhost:18083
plugin.path=/usr/local/share/java,/usr/local/share/kafka/plugins,
consumer.max.poll.records=50
";

    #[test]
    fn the_file_of_kafkas_distribution_is_understood() {
        let read = read(CONNECT_STANDALONE).unwrap();
        assert_eq!(read.settings.kafka.bootstrap_servers, "kafka:9092");
        assert!(read.settings.http.bind.ip().is_loopback());
        assert_eq!(read.settings.http.bind.port(), 18083);
        assert!(read.settings.store.configs_topic.is_empty());
        assert_eq!(read.offsets, Path::new("/tmp/connect.offsets"));
        assert_eq!(read.defaults["value.converter.schemas.enable"], "false");
        assert_eq!(read.defaults["consumer.override.max.poll.records"], "50");
        assert_eq!(read.ignored, [""; 0]);
    }

    #[test]
    fn what_secures_the_clients_is_passed_on() {
        let text =
            "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.username=me\nsasl.password=p\n";
        let read = read(&format!("{CONNECT_STANDALONE}{text}")).unwrap();
        assert_eq!(
            read.settings.kafka.properties["security.protocol"],
            "SASL_SSL"
        );
        assert_eq!(read.settings.kafka.properties["sasl.password"], "p");
    }

    #[test]
    fn a_key_that_connect_does_not_have_is_told() {
        let read = read(&format!(
            "{CONNECT_STANDALONE}offset.storage.topic=a\nproducer.acks=1\n"
        ));
        assert_eq!(
            read.unwrap().ignored,
            ["offset.storage.topic", "producer.acks"]
        );
    }

    #[test]
    fn a_bad_key_is_one_sentence() {
        for (line, expected) in [
            (
                "listeners=https://:8083",
                "FILE: listeners: https://:8083 is not http://host:port, which is what connect-worker serves",
            ),
            (
                "listeners=8083",
                "FILE: listeners: 8083 is not http://host:port, which is what connect-worker serves",
            ),
            (
                "config.providers=env,file",
                "FILE: config.providers: connect-worker fills in ${env:NAME}, not ${file:…}",
            ),
            (
                "ssl.truststore.location=/a.jks",
                "FILE: ssl.truststore.location: connect-worker has no Java client: write ssl.ca.location, a PEM file",
            ),
            (
                "value.converter.schemas.enable=yes",
                "FILE: value.converter.schemas.enable: Invalid value yes for configuration \
                 value.converter.schemas.enable: Expected value to be either true or false",
            ),
            (
                "offset.storage.file.filename=",
                "FILE: offset.storage.file.filename: Missing required configuration: name the file \
                 for the offsets of sources",
            ),
        ] {
            let error = read(&format!("{CONNECT_STANDALONE}{line}\n")).unwrap_err();
            assert_eq!(error, expected);
        }
        let avro = "key.converter=io.confluent.connect.avro.AvroConverter\n";
        let error = read(&format!("{CONNECT_STANDALONE}{avro}")).unwrap_err();
        assert!(
            error.contains("key.converter: connect-worker has"),
            "{error}"
        );
    }
}
