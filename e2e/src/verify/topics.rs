use std::collections::BTreeSet;

use shared::contract::{Delta, Order, Outcome};
use shared::kafka::LetterAddress;

use super::fact::{Decision, Fact, Place, What};
use super::report::Report;
use super::spill::Spill;
use super::{Progress, Topics};
use crate::kafka::{Kafka, Record};

/// All committed records of the topics, from the beginning to the end as of now.
pub(super) async fn read(
    kafka: &Kafka,
    topics: &Topics,
    spill: &mut Spill,
    report: &mut Report,
    progress: &impl Progress,
) -> anyhow::Result<()> {
    let mut reader = Reader {
        kafka,
        spill,
        progress,
    };
    report.foreign += reader.scan(&topics.orders, order).await?.foreign;
    report.foreign += reader.scan(&topics.catalog_deltas, delta).await?.foreign;
    report.foreign += reader.scan(&topics.order_outcomes, outcome).await?.foreign;
    let deltas = reader
        .dead_letters(&topics.delta_dead_letters, dead_delta)
        .await?;
    report.delta_dead_letters = deltas.records;
    let rows = reader
        .dead_letters(&topics.sink_dead_letters, dead_row)
        .await?;
    report.sink_dead_letters = rows.records;
    Ok(())
}

struct Reader<'a, P> {
    kafka: &'a Kafka,
    spill: &'a mut Spill,
    progress: &'a P,
}

#[derive(Default)]
struct Count {
    records: u64,
    /// Of these, what the contract does not know.
    foreign: u64,
}

type Seen = (shared::contract::OrderId, What);

impl<P: Progress> Reader<'_, P> {
    async fn scan(
        &mut self,
        topic: &str,
        read: fn(&[u8]) -> Option<Seen>,
    ) -> anyhow::Result<Count> {
        self.scan_if(topic, read, |_| true).await
    }

    async fn scan_if(
        &mut self,
        topic: &str,
        read: fn(&[u8]) -> Option<Seen>,
        counts: impl Fn(&Record) -> bool,
    ) -> anyhow::Result<Count> {
        let mut count = Count::default();
        self.progress.begin(topic, self.kafka.count(topic)?);
        let each = |record: Record| {
            self.progress.advance();
            if !counts(&record) {
                return Ok(());
            }
            count.records += 1;
            let Some((id, what)) = record.value.as_deref().and_then(read) else {
                count.foreign += 1;
                return Ok(());
            };
            let place = Place::Record {
                topic: topic.to_owned(),
                partition: record.partition,
                offset: record.offset,
            };
            self.spill.put(&Fact { id, place, what })
        };
        self.kafka.scan(topic, each).await?;
        Ok(count)
    }

    /// As [`Self::scan`], but for the letters that were put back, and the markers that say
    /// so. Without the topic there are none.
    async fn dead_letters(
        &mut self,
        topic: &str,
        read: fn(&[u8]) -> Option<Seen>,
    ) -> anyhow::Result<Count> {
        if !self.kafka.has_topic(topic)? {
            return Ok(Count::default());
        }
        let mut put_back = BTreeSet::new();
        let each = |record: Record| {
            put_back.extend(replayed(&record));
            Ok(())
        };
        self.kafka.scan(topic, each).await?;
        let waits = |record: &Record| {
            let address = LetterAddress {
                partition: record.partition,
                offset: record.offset,
            };
            replayed(record).is_none() && !put_back.contains(&address)
        };
        self.scan_if(topic, read, waits).await
    }
}

/// Of which letter this record is the marker that it was put back.
fn replayed(record: &Record) -> Option<LetterAddress> {
    // A letter that came with such a header has others, that tell of its death.
    match (&record.value, record.headers.len()) {
        (None, 1) => record.headers.get("dlq.replayed")?.parse().ok(),
        _ => None,
    }
}

fn order(value: &[u8]) -> Option<Seen> {
    let order = Order::decode(value).ok()?;
    Some((order.id, What::OrderRecord(order)))
}

fn delta(value: &[u8]) -> Option<Seen> {
    let delta = Delta::decode(value).ok()?;
    Some((delta.order_id, What::DeltaRecord(delta)))
}

fn outcome(value: &[u8]) -> Option<Seen> {
    let outcome = Outcome::decode(value).ok()?;
    Some((
        outcome.order_id,
        What::OutcomeRecord(Decision::from(outcome)),
    ))
}

fn dead_delta(value: &[u8]) -> Option<Seen> {
    let delta = Delta::decode(value).ok()?;
    Some((delta.order_id, What::DeadDelta(delta.kind)))
}

/// The sink writes both orders and outcomes.
fn dead_row(value: &[u8]) -> Option<Seen> {
    if let Ok(order) = Order::decode(value) {
        return Some((order.id, What::DeadOrder));
    }
    let outcome = Outcome::decode(value).ok()?;
    Some((outcome.order_id, What::DeadOutcome(outcome.kind)))
}
