use std::sync::Arc;

use e2e::{Kind, World};
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// One run of the tests: its world is started by the first test that needs it, and ends
/// with the run.
pub(crate) struct Session {
    pub(crate) kind: Kind,
    runtime: Runtime,
    /// `None`: it did not start.
    world: OnceCell<Option<World>>,
}

/// Trials named after their functions, which take the world.
macro_rules! tests {
    ($session:expr; $($test:ident),+ $(,)?) => {
        vec![$($session.trial(concat!(module_path!(), "::", stringify!($test)), $test)),+]
    };
}
pub(crate) use tests;

/// Trials named after their functions, which need no world.
macro_rules! tests_without_world {
    ($session:expr; $($test:ident),+ $(,)?) => {
        vec![$(
            $session.trial_without_world(concat!(module_path!(), "::", stringify!($test)), $test)
        ),+]
    };
}
pub(crate) use tests_without_world;

/// The last test of all.
pub(crate) fn trials(session: &Arc<Session>) -> Vec<Trial> {
    tests![session; every_process_stops_when_asked_to]
}

async fn every_process_stops_when_asked_to(world: &World) -> anyhow::Result<()> {
    world.stop().await
}

impl Session {
    pub(crate) fn new(kind: Kind) -> anyhow::Result<Self> {
        Ok(Self {
            kind,
            runtime: Runtime::new()?,
            world: OnceCell::new(),
        })
    }

    pub(crate) fn trial(
        self: &Arc<Self>,
        name: &'static str,
        test: impl AsyncFnOnce(&World) -> anyhow::Result<()> + Send + 'static,
    ) -> Trial {
        let session = Arc::clone(self);
        Trial::test(name, move || {
            session.runtime.block_on(async {
                let world = session.world().await?;
                test(world)
                    .await
                    .map_err(|error| failed(&error, Some(world)))
            })
        })
    }

    pub(crate) fn trial_without_world(
        self: &Arc<Self>,
        name: &'static str,
        test: impl AsyncFnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Trial {
        let session = Arc::clone(self);
        Trial::test(name, move || {
            session
                .runtime
                .block_on(test())
                .map_err(|error| failed(&error, None))
        })
    }

    /// Stops what still runs, where a filter has left out the last test. A process that is
    /// killed would stay a member of its consumer group for a while, and the next run would
    /// have to wait for that.
    pub(crate) fn end(&self) -> anyhow::Result<()> {
        match self.world.get() {
            Some(Some(world)) => self.runtime.block_on(world.stop()),
            _ => Ok(()),
        }
    }

    /// A world that does not start is tried once, and tells why once.
    async fn world(&self) -> Result<&World, Failed> {
        let mut reason = None;
        let world = self.world.get_or_init(async || {
            let world = World::start(self.kind).await;
            world
                .map_err(|error| reason = Some(format!("{error:#}")))
                .ok()
        });
        match world.await {
            Some(world) => Ok(world),
            None => Err(reason
                .unwrap_or_else(|| "the world did not start".to_owned())
                .into()),
        }
    }
}

/// The whole chain of causes.
fn failed(error: &anyhow::Error, world: Option<&World>) -> Failed {
    match world {
        Some(world) => format!("{error:#}\nlogs: {}", world.logs().display()).into(),
        None => format!("{error:#}").into(),
    }
}
