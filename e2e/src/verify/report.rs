use std::fmt;

/// As many offenders as a person looks at.
const SHOWN: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    Acknowledged = 1,
    Refused = 2,
    Atomic = 3,
    Stock = 4,
    Decided = 5,
    InStep = 6,
}

impl Invariant {
    pub const ALL: [Self; 6] = [
        Self::Acknowledged,
        Self::Refused,
        Self::Atomic,
        Self::Stock,
        Self::Decided,
        Self::InStep,
    ];

    fn text(self, is_answered: bool) -> &'static str {
        match self {
            Self::Acknowledged if !is_answered => "all copies of an order agree (no answers read)",
            Self::Refused if !is_answered => "requests refused are nowhere (no answers read)",
            Self::Acknowledged => "orders answered 200 or 201 are committed, and all copies agree",
            Self::Refused => "requests answered 4xx or 503 are nowhere",
            Self::Atomic => "every order has its reservation, every reservation its order",
            Self::Stock => "stock is the sum of its ledger, and what the orders took",
            Self::Decided => "every order is decided once, every cancellation too",
            Self::InStep => "the orders database is what the topics say",
        }
    }
}

/// What became of one invariant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Orders, products or requests looked at.
    pub checked: u64,
    pub violations: u64,
    /// The first offenders, each with what is wrong and where.
    pub first: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    lines: [Line; 6],
    /// Requests whose answers were read.
    pub answers: u64,
    pub orders: u64,
    /// Records on the topics that are none of the contract's.
    pub foreign: u64,
    pub delta_dead_letters: u64,
    pub sink_dead_letters: u64,
    /// Orders that wait in a dead letter for a person: not decided, not lost.
    pub undecided: u64,
}

impl Report {
    pub fn line(&self, invariant: Invariant) -> &Line {
        &self.lines[invariant as usize - 1]
    }

    /// Records that are there only if somebody has sent bad data, or where a service took good
    /// data for bad.
    pub fn bad_data(&self) -> u64 {
        self.foreign + self.delta_dead_letters + self.sink_dead_letters
    }

    pub fn violations(&self) -> u64 {
        self.lines.iter().map(|line| line.violations).sum()
    }

    /// One order, product or request was held to an invariant; `faults` say what is wrong.
    pub(super) fn checked(
        &mut self,
        invariant: Invariant,
        subject: impl fmt::Display,
        faults: Vec<String>,
    ) {
        let line = &mut self.lines[invariant as usize - 1];
        line.checked += 1;
        line.violations += u64::from(!faults.is_empty());
        for fault in faults {
            if line.first.len() < SHOWN {
                line.first.push(format!("{subject}: {fault}"));
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<66} {:>10} {:>10}",
            "invariant", "checked", "violated"
        )?;
        for invariant in Invariant::ALL {
            let line = self.line(invariant);
            writeln!(
                f,
                "{} {:<64} {:>10} {:>10}",
                invariant as usize,
                invariant.text(self.answers > 0),
                line.checked,
                line.violations
            )?;
            for fault in &line.first {
                writeln!(f, "    {fault}")?;
            }
            let hidden = line.violations.saturating_sub(line.first.len() as u64);
            if hidden > 0 {
                writeln!(f, "    and {hidden} more")?;
            }
        }
        write!(
            f,
            "{} orders; dead letters: {} deltas, {} of the sink ({} orders undecided); {} foreign records",
            self.orders,
            self.delta_dead_letters,
            self.sink_dead_letters,
            self.undecided,
            self.foreign
        )
    }
}
