use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificate::{self, Certificate};
use super::java::Jars;
use super::process::{self, Component};

/// Any 16 bytes in base64; a fixed one saves a JVM start.
const CLUSTER_ID: &str = "bG9jYWwtc3RhY2stMDAwMQ";

/// Who may come in by TLS.
const USER: &str = "SCRAM-SHA-256=[name=test,password=test]";

/// Where a node listens. Every node is broker and controller.
pub(crate) struct Ports {
    pub(crate) broker: u16,
    pub(crate) controller: u16,
    /// Where it demands TLS, and user and password by SCRAM-SHA-256.
    pub(crate) tls: Option<u16>,
}

pub(crate) fn bootstrap(cluster: &[Ports]) -> String {
    list(cluster.iter().map(|ports| address(ports.broker)))
}

/// One node of a cluster.
pub(crate) struct Kafka {
    name: String,
    home: PathBuf,
    cluster: &'static [Ports],
    /// Its place in `cluster`; the node id is one more.
    place: usize,
    certificate: Certificate,
    jars: Jars,
}

impl Kafka {
    pub(crate) fn new(stack: &Path, cluster: &'static [Ports], place: usize, jars: Jars) -> Self {
        let name = match cluster {
            [_] => "kafka".to_owned(),
            _ => format!("kafka-{}", place + 1),
        };
        Self {
            home: stack.join(&name),
            name,
            cluster,
            place,
            certificate: Certificate::new(stack),
            jars,
        }
    }

    fn own_ports(&self) -> &'static Ports {
        &self.cluster[self.place]
    }

    fn properties(&self) -> PathBuf {
        self.home.join("server.properties")
    }
}

impl Component for Kafka {
    fn name(&self) -> &str {
        &self.name
    }

    fn home(&self) -> &Path {
        &self.home
    }

    fn ports(&self) -> Vec<u16> {
        let ports = self.own_ports();
        let open = [ports.broker, ports.controller];
        open.into_iter().chain(ports.tls).collect()
    }

    fn mark(&self) -> (&'static str, PathBuf) {
        ("java", self.properties())
    }

    fn needs_jars(&self) -> bool {
        true
    }

    /// The last of a cluster to leave would wait for a quorum that is gone.
    fn stop_signal(&self) -> &'static str {
        match self.cluster {
            [_] => "TERM",
            _ => "KILL",
        }
    }

    fn initialise(&self) -> anyhow::Result<()> {
        let mut properties = properties(self.cluster, self.place, &self.data());
        let mut format = self.jars.command("kafka.tools.StorageTool", &self.home)?;
        format.args(["format", "--cluster-id", CLUSTER_ID, "--config"]);
        format.arg(self.properties());
        if self.own_ports().tls.is_some() {
            properties.push_str(&tls(&self.certificate));
            format.args(["--add-scram", USER]);
        }
        process::write(&self.properties(), &properties)?;
        process::run(&mut format, None, &self.log())
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut server = self.jars.command("kafka.Kafka", &self.home)?;
        server.arg(self.properties());
        Ok(server)
    }

    fn answers(&self) -> bool {
        brokers(self.own_ports().broker)
            .is_ok_and(|brokers| usize::try_from(brokers) == Ok(self.cluster.len()))
    }

    fn endpoints(&self) -> Vec<String> {
        let ports = self.own_ports();
        let tls = ports.tls.map(|port| {
            let authority = self.certificate.path();
            let authority = authority.display();
            format!(
                "{} (SASL_SSL, SCRAM-SHA-256 test:test, CA {authority})",
                address(port)
            )
        });
        [address(ports.broker)].into_iter().chain(tls).collect()
    }
}

fn properties(cluster: &[Ports], place: usize, data: &Path) -> String {
    let Ports {
        broker,
        controller,
        tls,
    } = cluster[place];
    let plain = format!("PLAINTEXT://{}", address(broker));
    let tls = tls.map(|port| format!("SASL_SSL://{}", address(port)));
    let listeners = list([plain].into_iter().chain(tls));
    let voters = cluster.iter().zip(1..);
    let voters = voters.map(|(ports, id)| format!("{id}@{}", address(ports.controller)));
    let replicas = cluster.len();
    format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# An open transaction of a dead producer holds back every read_committed reader until this scan.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
# The default 50 each cost a second at first use.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
",
        id = place + 1,
        voters = list(voters),
        // A majority: one node may be away, and what is acknowledged survives it.
        in_sync = replicas / 2 + 1,
        data = data.display()
    )
}

/// For the listener SASL_SSL.
fn tls(certificate: &Certificate) -> String {
    format!(
        "ssl.keystore.type=PKCS12
ssl.keystore.location={key_store}
ssl.keystore.password={password}
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
",
        key_store = certificate.key_store().display(),
        password = certificate::PASSWORD
    )
}

pub(crate) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

/// Brokers ready to serve, by a Metadata request (version 1, no topics): an open port says less, a
/// broker that is still fenced is not listed.
fn brokers(port: u16) -> io::Result<i32> {
    const REQUEST: [u8; 18] = [
        0, 0, 0, 14, // bytes that follow
        0, 3, 0, 1, // Metadata, version 1
        0, 0, 0, 1, // correlation id
        0xff, 0xff, // no client id
        0, 0, 0, 0, // no topics
    ];
    let mut stream = process::connect(port)?;
    stream.write_all(&REQUEST)?;
    let mut answer = [0; 12]; // size, correlation id, number of brokers
    stream.read_exact(&mut answer)?;
    let [.., a, b, c, d] = answer;
    Ok(i32::from_be_bytes([a, b, c, d]))
}
