use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Holds back what is behind a gap: of two transactions the one with the higher id may
/// commit first, and whoever has read beyond it never looks back.
///
/// An id below the table's newest was given out before that one was seen; a transaction
/// that takes no longer than the wait has committed it by then.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    seen: VecDeque<(Instant, i64)>,
    /// Up to here every gap has waited.
    settled: Option<i64>,
}

impl Gaps {
    pub(super) fn see(&mut self, newest: Option<i64>, wait: Duration) {
        let now = Instant::now();
        if let Some(newest) = newest
            && self.seen.back().is_none_or(|(_, last)| *last < newest)
        {
            self.seen.push_back((now, newest));
        }
        while let Some((at, newest)) = self.seen.front()
            && now.duration_since(*at) >= wait
        {
            self.settled = self.settled.max(Some(*newest));
            self.seen.pop_front();
        }
    }

    /// How many of these ids may be read.
    pub(super) fn ready(&self, last: i64, ids: impl Iterator<Item = i64>) -> usize {
        let mut last = if last < 0 { 0 } else { last };
        let mut ready = 0;
        for id in ids {
            let is_next = id <= last.saturating_add(1);
            if !is_next && self.settled.is_none_or(|settled| id > settled) {
                break;
            }
            last = id;
            ready += 1;
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_a_gap_waits_until_the_gap_is_old() {
        let mut gaps = Gaps::default();
        gaps.see(Some(5), Duration::from_secs(60));
        assert_eq!(gaps.ready(-1, [1, 2, 4, 5].into_iter()), 2);
        assert_eq!(gaps.ready(2, [3, 4, 5].into_iter()), 3);
        gaps.see(Some(9), Duration::ZERO);
        assert_eq!(gaps.ready(2, [4, 5, 8, 9, 11].into_iter()), 4);
    }
}
