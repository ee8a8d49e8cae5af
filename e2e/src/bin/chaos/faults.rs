use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::{Process, Signal};
use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use crate::load::Load;
use crate::pair::{Pair, transactional_id};
use crate::plan::{Action, Fault, Kind};
use crate::report::Report;
use crate::watch::{self, Recovery};

/// Who carries the plan out.
pub(crate) struct Faults {
    pub(crate) pair: Arc<Pair>,
    pub(crate) load: Arc<Load>,
    pub(crate) report: Arc<Report>,
    pub(crate) began: Instant,
}

impl Faults {
    /// Returns when all is healed and every recovery has been seen.
    pub(crate) async fn run(&self, lanes: Vec<Vec<Fault>>) -> anyhow::Result<()> {
        let watched = lanes.into_iter().map(|lane| self.lane(lane));
        for mut watches in try_join_all(watched).await? {
            while let Some(watch) = watches.join_next().await {
                watch?;
            }
        }
        Ok(())
    }

    async fn lane(&self, faults: Vec<Fault>) -> anyhow::Result<JoinSet<()>> {
        let mut watches = JoinSet::new();
        for fault in faults {
            tokio::time::sleep_until((self.began + fault.at).into()).await;
            let victim = self.victim(&fault).await?;
            if let Some(status) = victim.ended()? {
                let what = format!("{} ended by itself: {status}", victim.name());
                self.report.violation(&what);
                victim.start_again()?;
            }
            let watch = self.watch(&fault, victim.name());
            watches.spawn_local(watch);
            inflict(&fault, victim).await?;
        }
        Ok(watches)
    }

    async fn victim(&self, fault: &Fault) -> anyhow::Result<&Process> {
        let pair = &*self.pair;
        let broker = |node: usize| &pair.brokers[(node - 1) % pair.brokers.len()];
        if matches!(
            fault.kind,
            Kind::Broker | Kind::Coordinator | Kind::Controller
        ) {
            pair.cluster.whole().await?;
        }
        Ok(match fault.kind {
            Kind::OrderService => &pair.orders[fault.pick % 2].process,
            Kind::CatalogService => &pair.catalogs[fault.pick % 2].process,
            Kind::Sink => &pair.sink.process,
            Kind::Broker => &pair.brokers[fault.pick % pair.brokers.len()],
            Kind::Coordinator => {
                let producer = transactional_id(fault.pick);
                broker(pair.cluster.coordinator_of(&producer).await?)
            }
            Kind::Controller => broker(pair.cluster.controller().await?),
            Kind::Database => &pair.database,
        })
    }

    /// Tells how it went, once that is known.
    fn watch(&self, fault: &Fault, victim: &str) -> impl Future<Output = ()> + use<> {
        let since = Instant::now();
        let Fault {
            kind,
            action,
            lasts,
            ..
        } = *fault;
        let what = format!(
            "{:6.1} s  {action} {kind} ({victim}) {:.1} s; in flight: {}",
            (since - self.began).as_secs_f32(),
            lasts.as_secs_f32(),
            self.load.in_flight()
        );
        let placed = self.load.watch();
        let (pair, report) = (Arc::clone(&self.pair), Arc::clone(&self.report));
        async move {
            match watch::recovery(&pair, placed, since).await {
                Ok(recovery) => {
                    println!("{what}; {}", in_words(&recovery));
                    report.recovered(kind, action, recovery);
                }
                Err(error) => report.violation(&format!("{what}: no recovery: {error:#}")),
            }
        }
    }
}

async fn inflict(fault: &Fault, victim: &Process) -> anyhow::Result<()> {
    match fault.action {
        Action::Kill => {
            victim.kill()?;
            tokio::time::sleep(fault.lasts).await;
            victim.start_again()
        }
        Action::Freeze => {
            victim.signal(Signal::Freeze)?;
            tokio::time::sleep(fault.lasts).await;
            victim.signal(Signal::Thaw)
        }
    }
}

fn in_words(recovery: &Recovery) -> String {
    let range = |(first, last): (Duration, Duration)| {
        format!("{:.1}..{:.1} s", first.as_secs_f32(), last.as_secs_f32())
    };
    format!(
        "next 201 {:.1} s, deltas {}, rows {}",
        recovery.answer.as_secs_f32(),
        range(recovery.deltas),
        range(recovery.rows)
    )
}
