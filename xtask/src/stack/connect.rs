use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::java::Jars;
use super::process::{self, Component};
use super::{Layout, kafka, mariadb};

pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

pub(crate) struct Connect {
    home: PathBuf,
    layout: &'static Layout,
    jars: Jars,
}

impl Connect {
    pub(crate) fn new(stack: &Path, layout: &'static Layout, jars: Jars) -> Self {
        Self {
            home: stack.join("connect"),
            layout,
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
        vec![self.layout.connect]
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
        process::write(
            &self.properties(),
            &properties(self.layout, &self.jars.plugins()),
        )
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
        vec![url(self.layout.connect)]
    }
}

fn properties(layout: &Layout, plugins: &Path) -> String {
    format!(
        "bootstrap.servers={bootstrap}
group.id=connect
listeners=http://127.0.0.1:{port}
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
        port = layout.connect,
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
