use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use fastrand::Rng;

/// What a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    OrderService,
    CatalogService,
    Sink,
    /// Any broker.
    Broker,
    /// The broker that coordinates an order-service's transactions.
    Coordinator,
    /// The broker that is the active controller.
    Controller,
    Database,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// SIGKILL, and a restart.
    Kill,
    /// SIGSTOP, and SIGCONT when everybody else has given it up.
    Freeze,
}

/// As `--only` spells it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", PossibleValue::get_name))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// From the start of the faults, at the earliest.
    pub(crate) at: Duration,
    pub(crate) kind: Kind,
    pub(crate) action: Action,
    /// How long it stays away.
    pub(crate) lasts: Duration,
    /// Which one, of several.
    pub(crate) pick: usize,
}

/// Kinds of which only one may be away at a time. Lanes do not wait for each other.
const LANES: [&[Kind]; 5] = [
    &[Kind::OrderService],
    &[Kind::CatalogService],
    &[Kind::Sink],
    &[Kind::Broker, Kind::Coordinator, Kind::Controller],
    &[Kind::Database],
];

/// Longer than a transaction, a database session that holds locks, and a consumer's or a
/// broker's session: 10 s at most.
const FREEZE_MS: std::ops::Range<u64> = 11_000..15_000;
const KILL_MS: std::ops::Range<u64> = 500..8_000;
const PAUSE_MS: std::ops::Range<u64> = 4_000..20_000;
/// Faults begin no later than this before the end.
const END: Duration = Duration::from_secs(10);

/// The faults of each lane in their order: always the same for a seed. A lane's do not
/// depend on which other kinds take part.
pub(crate) fn plan(seed: u64, length: Duration, kinds: &[Kind]) -> Vec<Vec<Fault>> {
    let lanes = LANES.iter().zip(0..);
    lanes
        .map(|(lane, number)| {
            let kinds = lane.iter().copied().filter(|kind| kinds.contains(kind));
            faults(
                Rng::with_seed(seed ^ (number << 32)),
                length,
                &kinds.collect::<Vec<_>>(),
            )
        })
        .filter(|faults| !faults.is_empty())
        .collect()
}

fn faults(mut rng: Rng, length: Duration, kinds: &[Kind]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if kinds.is_empty() {
        return faults;
    }
    let mut deck = Vec::new();
    let mut at = Duration::from_millis(rng.u64(PAUSE_MS));
    while at + END < length {
        let (kind, action) = match deck.pop() {
            Some(card) => card,
            None => {
                deck = shuffled(&mut rng, kinds);
                continue;
            }
        };
        let range = if action == Action::Kill {
            KILL_MS
        } else {
            FREEZE_MS
        };
        let lasts = Duration::from_millis(rng.u64(range));
        faults.push(Fault {
            at,
            kind,
            action,
            lasts,
            pick: rng.usize(..),
        });
        at += lasts + Duration::from_millis(rng.u64(PAUSE_MS));
    }
    faults
}

/// Every kind comes up, in both ways, before any comes up again; the kinds of a lane first
/// in one way each.
fn shuffled(rng: &mut Rng, kinds: &[Kind]) -> Vec<(Kind, Action)> {
    let mut kinds = kinds.to_vec();
    rng.shuffle(&mut kinds);
    let first = rng.usize(..2);
    let rounds = [first, first + 1].into_iter();
    let cards = rounds.flat_map(|round| {
        kinds.iter().zip(round..).map(|(kind, number)| {
            let action = if number % 2 == 0 {
                Action::Kill
            } else {
                Action::Freeze
            };
            (*kind, action)
        })
    });
    cards.collect::<Vec<_>>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SHORT: Duration = Duration::from_secs(120);

    #[test]
    fn a_seed_always_gives_the_same_faults_whatever_else_takes_part() {
        let all = format!("{:?}", plan(7, SHORT, Kind::value_variants()));
        assert_eq!(all, format!("{:?}", plan(7, SHORT, Kind::value_variants())));
        assert_ne!(all, format!("{:?}", plan(8, SHORT, Kind::value_variants())));
        let sink = format!("{:?}", plan(7, SHORT, &[Kind::Sink])[0]);
        assert!(all.contains(&sink), "{sink} is not in {all}");
    }

    #[test]
    fn a_short_run_has_every_kind() {
        for seed in 0..50 {
            let kinds: BTreeSet<_> = plan(seed, SHORT, Kind::value_variants())
                .iter()
                .flatten()
                .map(|fault| fault.kind)
                .collect();
            assert_eq!(
                kinds.len(),
                Kind::value_variants().len(),
                "{seed}: {kinds:?}"
            );
        }
    }
}
