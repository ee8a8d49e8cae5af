//! What compression costs, and what it saves the broker's disk: the same orders by each codec, in
//! turn.

use std::path::Path;

use anyhow::Context;
use e2e::Kafka;

use crate::bare::{self, Topics};
use crate::measure::{count, median_of};
use crate::report::{self, Table, figure};

const PARTITIONS: i32 = 6;
/// What librdkafka has built in here, each with topics of its own.
const CODECS: [(&str, Topics); 4] = [
    ("none", topics("bench_none_orders", "bench_none_deltas")),
    (
        "snappy",
        topics("bench_snappy_orders", "bench_snappy_deltas"),
    ),
    ("lz4", topics("bench_lz4_orders", "bench_lz4_deltas")),
    ("gzip", topics("bench_gzip_orders", "bench_gzip_deltas")),
];

#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Orders in each run.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    orders: usize,
    /// Orders in each transaction.
    #[arg(long, value_name = "N", default_value_t = 128)]
    in_flight: usize,
    /// Runs of each codec, in turn; the median counts.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
}

pub(crate) async fn run(arguments: &Arguments, into: &Path) -> anyhow::Result<()> {
    let servers = std::env::var("STACK_KAFKA").context("STACK_KAFKA is not set")?;
    let kafka = Kafka::at(&servers);
    for (_, topics) in CODECS {
        for topic in [topics.orders, topics.deltas] {
            kafka.delete_topics(&[topic]).await?;
            kafka.create_topic(topic, PARTITIONS).await?;
        }
    }
    let mut rounds = Vec::new();
    for round in 1..=arguments.rounds {
        let mut rates = [0.0; CODECS.len()];
        for ((codec, topics), rate) in CODECS.into_iter().zip(&mut rates) {
            let &Arguments {
                orders, in_flight, ..
            } = arguments;
            let run = bare::run_compressed(&servers, topics, orders, in_flight, codec).await?;
            *rate = run.rate();
        }
        eprintln!(
            "round {round} of {}: orders/s {rates:.0?}",
            arguments.rounds
        );
        rounds.push(rates);
    }
    let table = table(arguments, &rounds)?;
    for (_, topics) in CODECS {
        kafka.delete_topics(&[topics.orders, topics.deltas]).await?;
    }
    report::save(into, "compression", &[table], &[])
}

fn table(arguments: &Arguments, rounds: &[[f64; CODECS.len()]]) -> anyhow::Result<Table> {
    let title = format!(
        "A bare transactional producer, {} orders in a transaction, median of {} rounds",
        arguments.in_flight, arguments.rounds
    );
    let columns = [
        "`compression.type`",
        "orders",
        "against none",
        "an order on disk",
        "its delta on disk",
    ];
    let mut table = Table::new(title, &columns);
    let orders = count(arguments.orders * arguments.rounds);
    for (place, (codec, topics)) in CODECS.into_iter().enumerate() {
        table.row([
            codec.into(),
            figure(median_of(rounds, |rates| rates[place]), "/s"),
            figure(median_of(rounds, |rates| rates[place] / rates[0]), ""),
            figure(bytes_on_disk(topics.orders)? / orders, " bytes"),
            figure(bytes_on_disk(topics.deltas)? / orders, " bytes"),
        ]);
    }
    Ok(table)
}

/// Of all partitions' segments.
fn bytes_on_disk(topic: &str) -> anyhow::Result<f64> {
    let home = std::env::var("STACK_HOME").context("STACK_HOME is not set")?;
    let data = Path::new(&home).join("kafka").join("data");
    let mut bytes = 0;
    for partition in 0..PARTITIONS {
        let folder = data.join(format!("{topic}-{partition}"));
        let files = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for file in files {
            let file = file?;
            if file.path().extension().is_some_and(|name| name == "log") {
                bytes += file.metadata()?.len();
            }
        }
    }
    Ok(count(usize::try_from(bytes)?))
}

const fn topics(orders: &'static str, deltas: &'static str) -> Topics {
    Topics { orders, deltas }
}
