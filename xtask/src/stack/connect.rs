use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificate::{self, Certificate};
use super::java::Jars;
use super::process::{self, Component};
use super::{Layout, kafka, mariadb};

pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

pub(crate) fn tls_url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

pub(crate) struct Connect {
    home: PathBuf,
    layout: &'static Layout,
    certificate: Certificate,
    jars: Jars,
}

impl Connect {
    pub(crate) fn new(stack: &Path, layout: &'static Layout, jars: Jars) -> Self {
        Self {
            home: stack.join("connect"),
            layout,
            certificate: Certificate::new(stack),
            jars,
        }
    }

    fn properties(&self) -> PathBuf {
        self.home.join("connect.properties")
    }
}

impl Component for Connect {
    fn name(&self) -> &str {
        "connect"
    }

    fn home(&self) -> &Path {
        &self.home
    }

    fn ports(&self) -> Vec<u16> {
        let ports = [self.layout.connect];
        ports.into_iter().chain(self.layout.connect_tls).collect()
    }

    fn mark(&self) -> (&'static str, PathBuf) {
        ("java", self.properties())
    }

    fn needs_jars(&self) -> bool {
        true
    }

    /// Its state is in Kafka's topics, so its own data folder stays empty.
    fn initialise(&self) -> anyhow::Result<()> {
        std::fs::create_dir(self.data())?;
        let mut properties = properties(self.layout, &self.jars.plugins());
        if self.layout.connect_tls.is_some() {
            properties.push_str(&tls(&self.certificate));
        }
        process::write(&self.properties(), &properties)
    }

    /// The environment answers the placeholders of connectors/orders-sink.json.
    fn command(&self) -> anyhow::Result<Command> {
        let mut worker = self.jars.command(
            "org.apache.kafka.connect.cli.ConnectDistributed",
            &self.home,
        )?;
        worker
            .arg(self.properties())
            .env(
                "ORDERS_SINK_URL",
                mariadb::jdbc_url(self.layout.mariadb, "orders"),
            )
            .env("ORDERS_SINK_USERNAME", "orders")
            .env("ORDERS_SINK_PASSWORD", "orders")
            .env("ORDERS_SINK_TASKS_MAX", "2")
            .env(
                "ORDERS_SINK_DLQ_REPLICATION",
                self.layout.kafka.len().to_string(),
            );
        Ok(worker)
    }

    fn answers(&self) -> bool {
        health(self.layout.connect).is_ok_and(|status| status.contains(" 200 "))
    }

    fn endpoints(&self) -> Vec<String> {
        let tls = self.layout.connect_tls.map(tls_url);
        [url(self.layout.connect)].into_iter().chain(tls).collect()
    }
}

/// For the listener that speaks HTTPS.
fn tls(certificate: &Certificate) -> String {
    format!(
        "listeners.https.ssl.keystore.type=PKCS12
listeners.https.ssl.keystore.location={key_store}
listeners.https.ssl.keystore.password={password}
listeners.https.ssl.key.password={password}
",
        key_store = certificate.key_store().display(),
        password = certificate::PASSWORD
    )
}

fn properties(layout: &Layout, plugins: &Path) -> String {
    let tls = layout.connect_tls.map(tls_url);
    let listeners: Vec<_> = [url(layout.connect)].into_iter().chain(tls).collect();
    format!(
        "bootstrap.servers={bootstrap}
group.id=connect
listeners={listeners}
config.storage.topic=connect_configs
config.storage.replication.factor={replicas}
offset.storage.topic=connect_offsets
offset.storage.replication.factor={replicas}
offset.storage.partitions=1
status.storage.topic=connect_status
status.storage.replication.factor={replicas}
status.storage.partitions=1
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
connector.client.config.override.policy=All
plugin.path={plugins}
# All our plugins have manifests; scanning every jar costs seconds.
plugin.discovery=service_load
# One worker: nobody else is to come back within the default five minutes.
scheduled.rebalance.max.delay.ms=0
# What a killed worker writes again, and how long its group seems to lag; 60 s by default.
offset.flush.interval.ms=5000
# How long a killed worker's consumers hold their partitions; 45 s by default.
consumer.session.timeout.ms=10000
",
        bootstrap = kafka::bootstrap(layout.kafka),
        listeners = listeners.join(","),
        replicas = layout.kafka.len(),
        plugins = plugins.display()
    )
}

/// The status line of `/health`: 200 once the worker has joined its group and read its configuration.
fn health(port: u16) -> io::Result<String> {
    let mut stream = process::connect(port)?;
    stream.write_all(b"GET /health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
