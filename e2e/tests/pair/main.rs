//! The pair as its users see it, in the world that `PAIR_WORLD` names.
//!
//! Tests of [`isolated`] share the running world at once: each has products and users of
//! its own. Those of [`disruptive`] stop and kill parts of it, and run one at a time.

// A test awaits what awaits what awaits: close to the default of 128, and beyond it in some builds.
#![recursion_limit = "256"]

mod asyncapi;
mod bad_input;
mod cancel;
mod compose;
mod console;
mod crash_points;
mod dead_letters;
mod demo;
mod flood;
mod idempotency;
mod list;
mod load;
mod metrics;
mod orders;
mod outages;
mod overload;
mod poison;
mod records;
mod registrar;
mod replays;
mod restarts;
mod security;
mod session;
mod sink;
mod startup;
mod stock;
mod stream;
mod tls;
mod traces;

use std::process::ExitCode;
use std::sync::Arc;

use e2e::Kind;
use libtest_mimic::{Arguments, Trial};

use crate::session::Session;

/// They wait more than they work.
const AT_ONCE: usize = 8;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let session = Arc::new(Session::new(Kind::from_env()?)?);
    let threads = |count| Arguments {
        test_threads: Some(count),
        ..arguments.clone()
    };
    let at_once = arguments.test_threads.unwrap_or(AT_ONCE);
    let together = libtest_mimic::run(&threads(at_once), isolated(&session));
    let alone = libtest_mimic::run(&threads(1), disruptive(&session));
    session.end()?;
    Ok(if together.has_failed() {
        together.exit_code()
    } else {
        alone.exit_code()
    })
}

fn isolated(session: &Arc<Session>) -> Vec<Trial> {
    let mut trials = [
        orders::trials(session),
        idempotency::trials(session),
        records::trials(session),
        asyncapi::trials(session),
        poison::trials(session),
        dead_letters::trials(session),
        list::trials(session),
        stream::trials(session),
        cancel::trials(session),
        replays::trials(session),
        stock::trials(session),
        bad_input::trials(session),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    if matches!(session.kind, Kind::WorkerMariadb | Kind::WorkerPostgres) {
        trials.extend(dead_letters::trials_of_the_worker(session));
    }
    if session.kind.is_real() {
        trials.extend(startup::trials_on_real_kafka(session));
        trials.extend(outages::trials_on_real_kafka(session));
        trials.extend(security::trials_on_real_kafka(session));
        if session.kind == Kind::ConnectMariadb {
            trials.extend(tls::trials(session));
        }
    } else if session.kind == Kind::Embedded {
        // These start what they need by themselves: once is enough.
        trials.extend(startup::trials(session));
        trials.extend(outages::trials(session));
        trials.extend(security::trials(session));
        trials.extend(demo::trials(session));
        trials.extend(traces::trials(session));
        trials.extend(metrics::trials(session));
        trials.extend(console::trials(session));
    }
    trials
}

fn disruptive(session: &Arc<Session>) -> Vec<Trial> {
    let mut trials = sink::trials(session);
    if session.kind.is_real() {
        trials.extend(restarts::trials(session));
        trials.extend(replays::trials_alone(session));
        trials.extend(registrar::trials(session));
    }
    if session.kind == Kind::ConnectMariadb {
        trials.extend(metrics::trials_alone(session));
    }
    if matches!(session.kind, Kind::WorkerMariadb | Kind::WorkerPostgres) {
        trials.extend(replays::trials_of_the_worker(session));
        trials.extend(traces::trials_of_the_worker(session));
    }
    match session.kind {
        Kind::WorkerMariadb => {
            trials.extend(crash_points::trials(session));
            trials.extend(dead_letters::trials_alone(session));
            trials.extend(flood::trials(session));
            trials.extend(overload::trials(session));
        }
        Kind::WorkerPostgres => trials.extend(crash_points::trials_of_the_database(session)),
        Kind::Compose => trials.extend(compose::trials(session)),
        _ => {}
    }
    trials.extend(session::trials(session));
    trials
}
