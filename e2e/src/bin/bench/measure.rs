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

/// Where the median of ever more rounds would be, with a confidence of 95 %. Of fewer than six
/// rounds, the least and the greatest.
pub(crate) fn interval_of<const N: usize>(
    rounds: &[[f64; N]],
    say: impl Fn([f64; N]) -> f64,
) -> [f64; 2] {
    let mut figures: Vec<f64> = rounds.iter().copied().map(say).collect();
    figures.sort_by(f64::total_cmp);
    let outside = outside(figures.len());
    let ends = [figures.get(outside), figures.iter().nth_back(outside)];
    ends.map(|end| end.copied().unwrap_or(f64::NAN))
}

/// How many rounds to leave out at each end. A round is above the median or below it as a coin
/// falls: so few at one end have a chance of 2.5 % at most.
fn outside(rounds: usize) -> usize {
    let mut chance = 0.5_f64.powf(count(rounds));
    let mut so_few = chance;
    let mut left_out = 0;
    loop {
        chance *= count(rounds - left_out) / count(left_out + 1);
        so_few += chance;
        if so_few > 0.025 {
            return left_out;
        }
        left_out += 1;
    }
}

/// Exact for any number of records a benchmark meets.
pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_leaves_out_as_many_rounds_as_tables_say() {
        let left_out = [5, 6, 9, 20, 24, 40].map(outside);
        assert_eq!(left_out, [0, 0, 1, 5, 6, 13]);
        let rounds: Vec<_> = (1..=9).map(|figure| [f64::from(figure)]).collect();
        assert_eq!(interval_of(&rounds, |[figure]| figure), [2.0, 8.0]);
    }
}
