use std::future::Future;

use anyhow::Context;
use shared::service::Service;
use tokio::runtime::{Builder, Runtime};

/// A service on a runtime of its own, so that it can be killed as a process can: whatever it
/// was doing is never finished.
pub(crate) struct Part {
    pub(crate) service: Service,
    runtime: OwnRuntime,
}

/// A runtime must not be waited for where others work.
struct OwnRuntime(Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl OwnRuntime {
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let runtime = self.0.as_ref().context("the runtime is gone")?;
        runtime.spawn(work).await.context("a part ended badly")
    }
}

impl Part {
    pub(crate) async fn start(
        start: impl Future<Output = anyhow::Result<Service>> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("no runtime")?;
        let runtime = OwnRuntime(Some(runtime));
        let service = runtime.run(start).await??;
        Ok(Self { service, runtime })
    }

    /// In order: what it has begun is finished.
    pub(crate) async fn stop(self) {
        let Self { service, runtime } = self;
        if let Err(error) = runtime.run(service.stop()).await {
            tracing::warn!(%error, "a part was not stopped in order");
        }
    }

    /// Its connections break, and its tasks are dropped wherever they are. Only a thread that
    /// is in the middle of a Kafka transaction ends that one: the embedded broker could not
    /// take it back.
    pub(crate) async fn kill(self) {
        let Self { service, runtime } = self;
        service.kill(|| drop(runtime)).await;
    }
}
