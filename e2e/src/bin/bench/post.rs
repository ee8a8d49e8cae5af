//! `POST /orders` against its two limits: a bare transactional producer, and actix without Kafka.

use std::net::SocketAddr;

use e2e::{Answer, Kafka, Kind, World};

use crate::Arguments;
use crate::actix::Actix;
use crate::bare::{self, Topics};
use crate::footprint::{Cost, Observed, load, server};
use crate::load;
use crate::measure::{Run, count, median_of};
use crate::report::{Axis, Cell, Findings, Line, Plot, Reached, Table, figure};

/// The service follows the pair's topics, and would work at what the limit does.
const TOPICS: Topics = Topics {
    orders: "bench_orders",
    deltas: "bench_catalog_deltas",
};
const COLUMNS: [&str; 8] = [
    "connections",
    "bare producer",
    "plain actix",
    "order-service",
    "ratio to the smaller",
    "ratio to both",
    "p50",
    "p99",
];

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Findings> {
    let world = World::start(Kind::WorkerMariadb).await?;
    crate::stock_up(&world).await?;
    let rivals = Rivals::start(&world).await?;
    for &connections in &arguments.connections {
        rivals.warm_up(arguments.orders, connections).await?;
    }
    let mut measured = Vec::new();
    for &connections in &arguments.connections {
        measured.push(rivals.compare(arguments, connections).await?);
    }
    world
        .kafka
        .delete_topics(&[TOPICS.orders, TOPICS.deltas])
        .await?;
    world.stop().await?;

    let title = format!(
        "POST /orders, {} orders a run, median of {} rounds",
        arguments.orders, arguments.rounds
    );
    let mut findings = Findings::default();
    let mut table = Table::new(title, &COLUMNS);
    findings.plots.push(plot(&measured));
    for mut measured in measured {
        let doing = format!("POST, {} connections", measured.connections);
        findings.costs.extend(measured.cost.rows(&doing));
        findings.reached.push(measured.reached());
        table.row(measured.row());
    }
    findings.tables.push(table);
    Ok(findings)
}

/// Who takes orders in turn.
struct Rivals {
    kafka: String,
    actix: Actix,
    service: SocketAddr,
    observed: [Observed; 3],
}

impl Rivals {
    /// Alone on the machine with the broker: one order-service, as the limits are.
    async fn start(world: &World) -> anyhow::Result<Self> {
        world.process("catalog-service")?.kill()?;
        world.process("order-service-b")?.kill()?;
        world.sink.stop().await?;
        create_topics(&world.kafka).await?;
        let order = world.orders[0].order(&world.new_order(1, 1));
        let body = Answer::to(order).await?.expect(201)?.text();
        let service = Observed {
            name: "order-service",
            id: world.process("order-service-a")?.id()?,
        };
        Ok(Self {
            kafka: world.kafka.bootstrap_servers().to_owned(),
            actix: Actix::start(&body, world.logs()).await?,
            service: crate::address(&world.orders[0])?,
            observed: [service, server("kafka")?, load()],
        })
    }

    /// A broker's first transactions are slow, and so are everybody's first requests.
    async fn warm_up(&self, orders: usize, connections: usize) -> anyhow::Result<()> {
        bare::run(&self.kafka, TOPICS, orders, connections).await?;
        load::run(self.actix.address, orders, connections).await?;
        load::run(self.service, orders, connections).await?;
        Ok(())
    }

    async fn compare(&self, arguments: &Arguments, connections: usize) -> anyhow::Result<Measured> {
        let &Arguments { orders, rounds, .. } = arguments;
        let mut measured = Measured {
            connections,
            rounds: Vec::new(),
            service: Run::default(),
            cost: Cost::default(),
        };
        for round in 1..=rounds {
            let bare = bare::run(&self.kafka, TOPICS, orders, connections).await?;
            let actix = load::run(self.actix.address, orders, connections).await?;
            let service = load::run(self.service, orders, connections);
            let service = measured.cost.of(&self.observed, orders, service).await?;
            let rates = [bare.rate(), actix.rate(), service.rate()];
            let [bare, actix, reached] = rates;
            eprintln!(
                "{connections} connections, round {round} of {rounds}: bare {bare:.0}/s, \
                 actix {actix:.0}/s, service {reached:.0}/s"
            );
            measured.rounds.push(rates);
            measured.service.latencies.extend(service.latencies);
        }
        Ok(measured)
    }
}

/// With as many partitions as the pair's.
async fn create_topics(kafka: &Kafka) -> anyhow::Result<()> {
    kafka.delete_topics(&[TOPICS.orders, TOPICS.deltas]).await?;
    for (topic, pairs) in [
        (TOPICS.orders, Topics::PAIR.orders),
        (TOPICS.deltas, Topics::PAIR.deltas),
    ] {
        let partitions = kafka.partitions(pairs)?.len();
        kafka
            .create_topic(topic, i32::try_from(partitions)?)
            .await?;
    }
    Ok(())
}

struct Measured {
    connections: usize,
    /// Orders per second: bare producer, plain actix, order-service.
    rounds: Vec<[f64; 3]>,
    service: Run,
    cost: Cost,
}

impl Measured {
    fn rates(&self) -> [f64; 3] {
        [0, 1, 2].map(|place| median_of(&self.rounds, |round| round[place]))
    }

    fn ratio(&self) -> f64 {
        median_of(&self.rounds, |[bare, actix, service]| {
            service / bare.min(actix)
        })
    }

    /// To what an order would take that went through the one and then the other: where both have
    /// only the same cores, no service is faster.
    fn ratio_to_both(&self) -> f64 {
        median_of(&self.rounds, |[bare, actix, service]| {
            service * (1.0 / bare + 1.0 / actix)
        })
    }

    fn row(&mut self) -> [Cell; 8] {
        let [bare, actix, service] = self.rates();
        [
            self.connections.to_string().into(),
            figure(bare, "/s"),
            figure(actix, "/s"),
            figure(service, "/s"),
            figure(self.ratio(), ""),
            figure(self.ratio_to_both(), ""),
            figure(self.service.percentile_ms(50), " ms"),
            figure(self.service.percentile_ms(99), " ms"),
        ]
    }

    fn reached(&self) -> Reached {
        let [bare, actix, service] = self.rates();
        Reached {
            path: format!("POST /orders, {} connections", self.connections),
            figure: figure(service, "/s"),
            limit: figure(bare.min(actix), "/s"),
            limited_by: if bare < actix {
                "bare producer"
            } else {
                "plain actix"
            },
            ratio: self.ratio(),
            goal: "≥ 0.8",
        }
    }
}

fn plot(measured: &[Measured]) -> Plot {
    let line = |place: usize, name| {
        let rates = measured.iter();
        let rates = rates.map(|measured| (count(measured.connections), measured.rates()[place]));
        Line::new(name, rates.collect())
    };
    Plot {
        name: "rate".to_owned(),
        title: "POST /orders".to_owned(),
        x: Axis::log("connections"),
        y: Axis::linear("orders/s"),
        lines: vec![
            line(0, "bare producer"),
            line(1, "plain actix"),
            line(2, "order-service"),
        ],
    }
}
