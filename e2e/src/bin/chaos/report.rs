use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::plan::{Action, Kind};
use crate::watch::Recovery;

/// How many violations are told in words.
const TOLD: usize = 10;

/// What the run has seen.
#[derive(Default)]
pub(crate) struct Report(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// By operation and answer.
    answers: BTreeMap<(&'static str, String), usize>,
    recoveries: BTreeMap<(Kind, Action), Vec<Recovery>>,
    violations: usize,
}

impl Report {
    pub(crate) fn count(&self, operation: &'static str, answer: String) {
        self.with(|seen| *seen.answers.entry((operation, answer)).or_default() += 1);
    }

    /// What must not happen.
    pub(crate) fn violation(&self, what: &str) {
        self.with(|seen| {
            seen.violations += 1;
            if seen.violations <= TOLD {
                println!("VIOLATION: {what}");
            }
        });
    }

    pub(crate) fn recovered(&self, kind: Kind, action: Action, recovery: Recovery) {
        self.with(|seen| {
            let recoveries = seen.recoveries.entry((kind, action)).or_default();
            recoveries.push(recovery);
        });
    }

    pub(crate) fn violations(&self) -> usize {
        self.with(|seen| seen.violations)
    }

    pub(crate) fn print(&self) {
        self.with(|seen| {
            println!("\n{:<12} {:<22} {:>8}", "request", "answer", "number");
            for ((operation, answer), number) in &seen.answers {
                println!("{operation:<12} {answer:<22} {number:>8}");
            }
            println!(
                "\n{:<24} {:>6}   {:<16} {:<16} {:<16} (p50 / max, s)",
                "fault", "number", "next 201", "all deltas", "all rows"
            );
            for ((kind, action), recoveries) in &seen.recoveries {
                let column = |part: fn(&Recovery) -> Duration| {
                    let mut times: Vec<_> = recoveries.iter().map(part).collect();
                    times.sort_unstable();
                    let at = |index: usize| times.get(index).map_or(0.0, Duration::as_secs_f32);
                    format!("{:.1} / {:.1}", at(times.len() / 2), at(times.len() - 1))
                };
                println!(
                    "{:<24} {:>6}   {:<16} {:<16} {:<16}",
                    format!("{action} {kind}"),
                    recoveries.len(),
                    column(|recovery| recovery.answer),
                    column(|recovery| recovery.deltas.1),
                    column(|recovery| recovery.rows.1),
                );
            }
            println!();
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
