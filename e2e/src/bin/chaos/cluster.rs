use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::within;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use rdkafka::{Message, Offset, TopicPartitionList};
use shared::kafka::KafkaSettings;

const TIMEOUT: Duration = Duration::from_secs(5);
/// A restarted broker catches up in seconds; the machine may be busy.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);

/// The brokers, seen from outside. Node ids are 1, 2, 3, in the order of their addresses.
#[derive(Clone)]
pub(crate) struct Cluster {
    settings: KafkaSettings,
}

impl Cluster {
    pub(crate) fn at(bootstrap_servers: &str) -> Self {
        Self {
            settings: KafkaSettings {
                bootstrap_servers: bootstrap_servers.to_owned(),
                ..KafkaSettings::default()
            },
        }
    }

    pub(crate) fn bootstrap_servers(&self) -> &str {
        &self.settings.bootstrap_servers
    }

    fn addresses(&self) -> Vec<&str> {
        self.settings.bootstrap_servers.split(',').collect()
    }

    /// Waits until every broker is there and has every partition: only then may one go.
    pub(crate) async fn whole(&self) -> anyhow::Result<()> {
        let brokers = self.addresses().len();
        within(WHOLE_WITHIN, "all brokers are in sync", async || {
            let metadata = self.metadata(None).await?;
            let there = metadata.brokers().len();
            ensure!(there == brokers, "{there} brokers of {brokers}");
            let topics = metadata.topics().iter();
            let partitions = topics.flat_map(|topic| {
                let partitions = topic.partitions().iter();
                partitions.map(move |partition| (topic.name(), partition))
            });
            for (topic, partition) in partitions {
                let (id, in_sync) = (partition.id(), partition.isr().len());
                ensure!(in_sync == brokers, "{topic}/{id}: {in_sync} in sync");
            }
            Ok(Some(()))
        })
        .await
    }

    /// The node that coordinates this producer's transactions: the leader of its partition of
    /// the transaction log.
    pub(crate) async fn coordinator_of(&self, transactional_id: &str) -> anyhow::Result<usize> {
        const LOG: &str = "__transaction_state";
        let metadata = self.metadata(Some(LOG)).await?;
        let topic = metadata.topics().first().context(LOG)?;
        let partitions = i32::try_from(topic.partitions().len())?;
        ensure!(partitions > 0, "there is no {LOG}");
        let partition = (java_hash(transactional_id) & i32::MAX) % partitions;
        let mut all = topic.partitions().iter();
        let found = all.find(|found| found.id() == partition);
        let leader = found.context("the partition is missing")?.leader();
        usize::try_from(leader).context("it has no leader")
    }

    /// The node that is the active controller, as any broker that answers knows it.
    pub(crate) async fn controller(&self) -> anyhow::Result<usize> {
        let addresses: Vec<_> = self.addresses().iter().map(ToString::to_string).collect();
        let ask = move || {
            let mut answers = addresses.iter().map(|address| quorum_leader(address));
            answers.find_map(Result::ok).context("no broker knows")
        };
        tokio::task::spawn_blocking(ask).await?
    }

    /// How many committed records of these topics the group has not committed yet.
    pub(crate) async fn lag(&self, group: &str, topics: &[&str]) -> anyhow::Result<usize> {
        let mut config = self.settings.consumer("chaos");
        let config = config
            .set("group.id", group)
            .set("enable.partition.eof", "true")
            // Only a fetch without a record tells the end, and under load records keep coming.
            .set("fetch.wait.max.ms", "10");
        let consumer: BaseConsumer = config.create()?;
        let topics: Vec<_> = topics.iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || records_behind(&consumer, &topics)).await?
    }

    async fn metadata(&self, topic: Option<&'static str>) -> anyhow::Result<Arc<Metadata>> {
        let consumer: BaseConsumer = self.settings.client("chaos").create()?;
        let fetch = move || consumer.fetch_metadata(topic, TIMEOUT).map(Arc::new);
        Ok(tokio::task::spawn_blocking(fetch).await??)
    }
}

/// Reads them: offsets alone would count the markers of transactions too.
fn records_behind(consumer: &BaseConsumer, topics: &[String]) -> anyhow::Result<usize> {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        for partition in metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
        {
            list.add_partition(topic, partition.id());
        }
    }
    let mut next = TopicPartitionList::new();
    for element in consumer.committed_offsets(list, TIMEOUT)?.elements() {
        let offset = match element.offset() {
            Offset::Invalid => Offset::Beginning,
            offset => offset,
        };
        next.add_partition_offset(element.topic(), element.partition(), offset)?;
    }
    consumer.assign(&next)?;
    let mut unfinished = next.count();
    let mut records = 0;
    while unfinished > 0 {
        match consumer.poll(TIMEOUT).context("no answer")? {
            Ok(message) => records += usize::from(message.offset() >= 0),
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => unfinished -= 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(records)
}

/// `String.hashCode`, of ASCII.
fn java_hash(text: &str) -> i32 {
    let bytes = text.bytes().map(i32::from);
    bytes.fold(0, |hash: i32, byte| {
        hash.wrapping_mul(31).wrapping_add(byte)
    })
}

/// By a DescribeQuorum request, which librdkafka does not have.
fn quorum_leader(address: &str) -> anyhow::Result<usize> {
    const TOPIC: &[u8] = b"__cluster_metadata";
    /// Where the answer has the leader of the only partition.
    const LEADER: std::ops::Range<usize> = 38..42;
    let mut body = vec![
        0, 55, 0, 0, // DescribeQuorum, version 0
        0, 0, 0, 1, // correlation id
        0xff, 0xff, 0, // no client id, no tags
        2, 19, // one topic, of 18 bytes
    ];
    body.extend(TOPIC);
    body.extend([2, 0, 0, 0, 0, 0, 0, 0]); // one partition, 0, no tags
    let mut request = u32::try_from(body.len())?.to_be_bytes().to_vec();
    request.extend(body);
    let mut stream = TcpStream::connect_timeout(&address.parse()?, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(&request)?;
    let mut answer = [0; LEADER.end];
    stream.read_exact(&mut answer)?;
    let leader: [u8; 4] = answer[LEADER].try_into()?;
    let leader = i32::from_be_bytes(leader);
    ensure!((1..=9).contains(&leader), "the leader is {leader}");
    Ok(usize::try_from(leader)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_java_says() {
        assert_eq!(java_hash("order-service-chaos-a"), -957_723_203);
        assert_eq!(java_hash(""), 0);
    }
}
