use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, Offset};
use shared::kafka::{self, Extent};
use tokio_util::sync::CancellationToken;

use super::EVERY;
use crate::hub::Hub;
use crate::settings::Settings;
use crate::snapshot::{Lag, TopicState};

const TIMEOUT: Duration = Duration::from_millis(900);
/// How soon a stop is noticed.
const POLL: Duration = Duration::from_millis(100);
/// Rates are those of about the last 2 s.
const WINDOW: usize = 5;
/// Transactions end in a marker, which nobody reads.
const MARKER: i64 = 1;

#[derive(Debug, Clone, Default)]
pub(super) struct Topography {
    pub(super) topics: Vec<TopicState>,
    pub(super) problem: Option<String>,
}

/// Asks the broker where the topics end and how far their readers are.
pub(super) struct TopicWatch {
    topics: Vec<Watched>,
    readers: Vec<Reader>,
}

struct Watched {
    name: String,
    transactional: bool,
    ends: VecDeque<(Instant, i64)>,
}

/// A consumer group, asked without joining it.
struct Reader {
    name: &'static str,
    topics: Vec<String>,
    config: ClientConfig,
    consumer: Option<BaseConsumer>,
}

impl TopicWatch {
    pub(super) fn new(settings: &Settings) -> Self {
        let names = &settings.topics;
        let watched = |name: &str, transactional| Watched {
            name: name.to_owned(),
            transactional,
            ends: VecDeque::new(),
        };
        let reader = |name, group: &str, topics: &[&String]| {
            let mut config = settings.kafka.consumer("console");
            config.set("group.id", group);
            Reader {
                name,
                topics: topics.iter().map(ToString::to_string).collect(),
                config,
                consumer: None,
            }
        };
        let sink = format!("connect-{}", settings.connector);
        Self {
            topics: vec![
                watched(&names.orders, true),
                watched(&names.catalog_deltas, true),
                watched(&names.order_outcomes, false),
            ],
            readers: vec![
                reader(
                    "catalog-service",
                    &settings.catalog_group,
                    &[&names.catalog_deltas],
                ),
                reader("sink", &sink, &[&names.orders, &names.order_outcomes]),
            ],
        }
    }

    /// It blocks.
    pub(super) fn run(
        mut self,
        hub: &Hub,
        stop: &CancellationToken,
        mut tell: impl FnMut(Topography),
    ) {
        let mut last = Vec::new();
        let mut next = Instant::now();
        while !stop.is_cancelled() {
            if !hub.is_watched() || Instant::now() < next {
                std::thread::sleep(POLL);
                continue;
            }
            next = Instant::now() + EVERY;
            let problem = match self.look() {
                Ok(topics) => {
                    last = topics;
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            tell(Topography {
                topics: last.clone(),
                problem,
            });
        }
    }

    fn look(&mut self) -> KafkaResult<Vec<TopicState>> {
        let Self { topics, readers } = self;
        let mut states = Vec::new();
        for topic in topics {
            let mut lags = Vec::new();
            let mut extents = Vec::new();
            for reader in readers.iter_mut() {
                if !reader.topics.contains(&topic.name) {
                    continue;
                }
                extents = kafka::extents(reader.consumer()?, &topic.name, TIMEOUT)?;
                let marker = if topic.transactional { MARKER } else { 0 };
                lags.push(Lag {
                    reader: reader.name,
                    lag: reader.lag(&topic.name, &extents, marker)?,
                });
            }
            states.push(TopicState {
                name: topic.name.clone(),
                rate: topic.rate(extents.iter().map(|extent| extent.high).sum()),
                size: extents.iter().map(|extent| extent.high - extent.low).sum(),
                readers: lags,
            });
        }
        Ok(states)
    }
}

impl Watched {
    fn rate(&mut self, end: i64) -> f64 {
        let now = Instant::now();
        self.ends.push_back((now, end));
        if self.ends.len() > WINDOW {
            self.ends.pop_front();
        }
        let (begun, first) = self.ends.front().copied().unwrap_or((now, end));
        let seconds = now.duration_since(begun).as_secs_f64();
        let records = i32::try_from(end - first).unwrap_or(i32::MAX);
        if seconds > 0.0 {
            f64::from(records) / seconds
        } else {
            0.0
        }
    }
}

impl Reader {
    fn consumer(&mut self) -> KafkaResult<&BaseConsumer> {
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => self.config.create()?,
        };
        Ok(self.consumer.insert(consumer))
    }

    fn lag(&mut self, topic: &str, extents: &[Extent], marker: i64) -> KafkaResult<i64> {
        let mut partitions = TopicPartitionList::new();
        for extent in extents {
            partitions.add_partition(topic, extent.partition);
        }
        let committed = self.consumer()?.committed_offsets(partitions, TIMEOUT)?;
        let lag = |extent: &Extent| {
            let reached = committed.find_partition(topic, extent.partition);
            let (reached, marker) = match reached.map(|reached| reached.offset()) {
                Some(Offset::Offset(offset)) => (offset, marker),
                _ => (extent.low, 0),
            };
            (extent.high - reached - marker).max(0)
        };
        Ok(extents.iter().map(lag).sum())
    }
}
