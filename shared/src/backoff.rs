//! Waiting between attempts at something that is broken for now.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Exponential backoff with full jitter, 100 ms to 10 s, so that many instances do not
/// come back in step.
#[derive(Debug)]
pub struct Backoff {
    ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { ceiling: FIRST }
    }
}

impl Backoff {
    /// The next wait: between half the ceiling and the ceiling, which doubles.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(LONGEST);
        let half = ceiling / 2;
        half + half.mul_f64(random_fraction())
    }

    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.ceiling = FIRST;
    }
}

/// Repeats an attempt while `again` says of its error that waiting may help; `None` if
/// `stop` came first.
pub async fn retry<T, E, F>(
    stop: &CancellationToken,
    mut attempt: impl FnMut() -> F,
    mut again: impl FnMut(&E) -> bool,
) -> Result<Option<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut backoff = Backoff::default();
    loop {
        match attempt().await {
            Ok(done) => return Ok(Some(done)),
            Err(error) if again(&error) => {}
            Err(error) => return Err(error),
        }
        if stop.run_until_cancelled(backoff.wait()).await.is_none() {
            return Ok(None);
        }
    }
}

/// 0 to 1. The random bits of a UUID serve; jitter needs no better source.
fn random_fraction() -> f64 {
    let byte = Uuid::now_v7().as_bytes()[15];
    f64::from(byte) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_ceiling_and_start_over_after_a_success() {
        let mut backoff = Backoff::default();
        assert!(backoff.next_delay() <= FIRST);
        for _ in 0..20 {
            assert!(backoff.next_delay() <= LONGEST);
        }
        assert!(backoff.next_delay() >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST);
    }
}
