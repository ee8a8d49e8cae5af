use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(10);

/// For whoever tells now and then how far a long work is.
pub struct Pace(Instant);

impl Default for Pace {
    fn default() -> Self {
        Self(Instant::now() + EVERY)
    }
}

impl Pace {
    /// Whether ten seconds have passed, since it was made or last said so.
    pub fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = now >= self.0;
        if is_due {
            self.0 = now + EVERY;
        }
        is_due
    }
}
