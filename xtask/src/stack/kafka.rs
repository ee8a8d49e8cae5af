use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::java::Jars;
use super::process::{self, Component};

const PORT: u16 = 19092;
const CONTROLLER_PORT: u16 = 19093;
/// Any 16 bytes in base64; a fixed one saves a JVM start.
const CLUSTER_ID: &str = "bG9jYWwtc3RhY2stMDAwMQ";

pub(crate) fn bootstrap() -> String {
    format!("127.0.0.1:{PORT}")
}

pub(crate) struct Kafka {
    home: PathBuf,
    jars: Jars,
}

impl Kafka {
    pub(crate) fn new(stack: &Path, jars: Jars) -> Self {
        Self {
            home: stack.join("kafka"),
            jars,
        }
    }

    fn properties(&self) -> PathBuf {
        self.home.join("server.properties")
    }
}

impl Component for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn home(&self) -> &Path {
        &self.home
    }

    fn ports(&self) -> &'static [u16] {
        &[PORT, CONTROLLER_PORT]
    }

    fn mark(&self) -> (&'static str, PathBuf) {
        ("java", self.properties())
    }

    fn needs_jars(&self) -> bool {
        true
    }

    fn initialise(&self) -> anyhow::Result<()> {
        process::write(&self.properties(), &properties(&self.data()))?;
        let mut format = self.jars.command("kafka.tools.StorageTool", &self.home)?;
        format.args([
            "format",
            "--standalone",
            "--cluster-id",
            CLUSTER_ID,
            "--config",
        ]);
        process::run(format.arg(self.properties()), None, &self.log())
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut server = self.jars.command("kafka.Kafka", &self.home)?;
        server.arg(self.properties());
        Ok(server)
    }

    fn answers(&self) -> bool {
        brokers().is_ok_and(|brokers| brokers > 0)
    }

    fn endpoints(&self) -> Vec<String> {
        vec![bootstrap()]
    }
}

fn properties(data: &Path) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{CONTROLLER_PORT}
listeners=PLAINTEXT://127.0.0.1:{PORT},CONTROLLER://127.0.0.1:{CONTROLLER_PORT}
advertised.listeners=PLAINTEXT://127.0.0.1:{PORT}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# An open transaction of a dead producer holds back every read_committed reader until this scan.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The default 50 each cost a second at first use.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
",
        data = data.display()
    )
}

/// Brokers ready to serve, by a Metadata request (version 1, no topics): an open port says less, a
/// broker that is still fenced is not listed.
fn brokers() -> io::Result<i32> {
    const REQUEST: [u8; 18] = [
        0, 0, 0, 14, // bytes that follow
        0, 3, 0, 1, // Metadata, version 1
        0, 0, 0, 1, // correlation id
        0xff, 0xff, // no client id
        0, 0, 0, 0, // no topics
    ];
    let mut stream = process::connect(PORT)?;
    stream.write_all(&REQUEST)?;
    let mut answer = [0; 12]; // size, correlation id, number of brokers
    stream.read_exact(&mut answer)?;
    let [.., a, b, c, d] = answer;
    Ok(i32::from_be_bytes([a, b, c, d]))
}
