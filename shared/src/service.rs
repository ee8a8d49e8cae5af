//! A running service: its HTTP server and its background tasks, which live and end
//! together.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::{Health, HttpServer};
use crate::traces::Traces;

/// Why a task ended: `Ok` after it was told to stop, an error that no waiting can cure.
pub type TaskResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Background tasks that stop on one signal.
#[derive(Default)]
pub struct Tasks {
    drain: CancellationToken,
    stop: CancellationToken,
    running: JoinSet<(&'static str, TaskResult)>,
}

impl Tasks {
    /// Cancelled first: requests that merely wait or stream should end now.
    pub fn drain_signal(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Cancelled once the last request is answered: each task finishes what it has begun.
    pub fn stop_signal(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub fn spawn<E>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.running
            .spawn(async move { (name, task.await.map_err(Into::into)) });
    }

    /// Waits for the first task that cannot go on, and says why.
    async fn failed(&mut self) -> String {
        loop {
            match self.running.join_next().await {
                Some(Ok((_, Ok(())))) => {}
                Some(Ok((name, Err(error)))) => return format!("{name}: {error}"),
                Some(Err(panic)) => return panic.to_string(),
                None => std::future::pending().await,
            }
        }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((name, Err(error))) => {
                    tracing::warn!(task = name, %error, "ended with an error")
                }
                Err(error) => tracing::warn!(%error, "a task ended badly"),
            }
        }
    }
}

/// A service as its starter holds it.
pub struct Service {
    address: SocketAddr,
    http: ServerHandle,
    health: Health,
    drain: Duration,
    tasks: Tasks,
    traces: Traces,
}

impl Service {
    /// Begins to answer requests, beside tasks that already run.
    pub fn new(http: HttpServer, mut tasks: Tasks) -> Self {
        let handle = http.server.handle();
        tasks.spawn("http", http.server);
        tracing::info!(address = %http.address, "listening");
        Self {
            address: http.address,
            http: handle,
            health: http.health,
            drain: http.drain,
            tasks,
            traces: http.traces,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the service cannot go on, and says why.
    pub async fn failed(&mut self) -> String {
        self.tasks.failed().await
    }

    /// Goes on for the time that the settings give to whoever spreads the requests, answers
    /// those in flight, then lets the tasks finish what they have begun, and exports its spans.
    pub async fn stop(self) {
        self.health.stopping();
        tokio::time::sleep(self.drain).await;
        self.tasks.drain.cancel();
        self.http.stop(true).await;
        self.tasks.stop().await;
        self.traces.end().await;
    }

    /// As a crash: connections break, and no request or task is waited for. `end` ends the
    /// runtime that this service has for itself, and with it all that still runs; threads that
    /// block end by themselves.
    pub async fn kill(self, end: impl FnOnce()) {
        self.http.stop(false).await;
        end();
        self.tasks.stop.cancel();
    }
}

/// The life of a service's process: until Ctrl-C or SIGTERM, or until it cannot go on.
pub async fn run(mut service: Service) -> TaskResult {
    let failure = tokio::select! {
        signal = stop_requested() => signal.err().map(|error| error.to_string()),
        failure = service.failed() => Some(failure),
    };
    tracing::info!("stopping");
    service.stop().await;
    failure.map_or(Ok(()), |reason| Err(reason.into()))
}

/// The end of a process: what went wrong is one sentence on standard error.
pub fn report<E: Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails.
            writeln!(std::io::stderr(), "error: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn stop_requested() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}
