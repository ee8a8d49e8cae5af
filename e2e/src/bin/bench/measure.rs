use std::time::Duration;

/// What one run of a load took.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) took: Duration,
}

impl Run {
    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.latencies.len()) / self.took.as_secs_f64()
    }

    /// The latency below which that many of a hundred requests were, in milliseconds.
    pub(crate) fn percentile_ms(&mut self, percent: usize) -> f64 {
        self.latencies.sort_unstable();
        let index = self.latencies.len() * percent / 100;
        self.latencies
            .get(index)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
    }
}

/// The median of what each round has to say. A round has one figure for each of the things that
/// are measured in turn, so what is said may be a ratio of them.
pub(crate) fn median_of<const N: usize>(rounds: &[[f64; N]], say: impl Fn([f64; N]) -> f64) -> f64 {
    median(rounds.iter().copied().map(say).collect())
}

/// The middle one of several figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Exact for any number of records a benchmark meets.
pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
