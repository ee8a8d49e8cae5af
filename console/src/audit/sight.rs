use std::time::{Duration, Instant};

/// How far apart two records of one transaction may be seen, and an order after its answer: an
/// open transaction of a dead order-service holds its partitions back for its timeout of 10 s,
/// and until the broker next looks for such, every 10 s by default.
pub(super) const TOGETHER: Duration = Duration::from_secs(30);
/// The topics are not asked for so long when they cannot be, or this process stood still.
const GAP: Duration = Duration::from_secs(10);

/// The time in which the topics could be read. What has not been seen outside of it is not
/// missing.
#[derive(Debug, Default)]
pub(super) struct Sight(Option<Span>);

#[derive(Debug, Clone, Copy)]
struct Span {
    since: Instant,
    until: Instant,
}

impl Sight {
    pub(super) fn has_begun(&self) -> bool {
        self.0.is_some()
    }

    /// The topics can be read as of now.
    pub(super) fn extend(&mut self, now: Instant) {
        let span = self.0.filter(|span| now < span.until + GAP);
        let since = span.map_or(now, |span| span.since);
        self.0 = Some(Span { since, until: now });
    }

    /// How long something that began then has been in sight since.
    pub(super) fn of(&self, begun: Instant) -> Duration {
        self.0.map_or(Duration::ZERO, |span| {
            span.until.saturating_duration_since(span.since.max(begun))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_in_sight_without_a_gap_counts() {
        let (mut sight, begun) = (Sight::default(), Instant::now());
        assert_eq!(sight.of(begun), Duration::ZERO);
        let at = |seconds| begun + Duration::from_secs(seconds);
        for seconds in [2, 4, 6] {
            sight.extend(at(seconds));
        }
        assert_eq!(sight.of(begun), Duration::from_secs(4));
        assert_eq!(sight.of(at(5)), Duration::from_secs(1));
        sight.extend(at(60));
        assert_eq!(sight.of(begun), Duration::ZERO);
        sight.extend(at(62));
        assert_eq!(sight.of(begun), Duration::from_secs(2));
    }
}
