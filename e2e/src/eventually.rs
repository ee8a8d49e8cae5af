use std::fmt::Debug;
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

/// Longer than anything takes on a busy machine: only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

/// Asks until there is an answer. An error counts as no answer yet, and is told at the end.
pub async fn eventually<T>(
    what: &str,
    probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    within(PATIENCE, what, probe).await
}

/// [`eventually`] with another patience.
pub async fn within<T>(
    patience: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let last = match probe().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => "not yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() >= deadline {
            bail!(
                "{what}: not within {} s; at last: {last}",
                patience.as_secs_f32()
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Asks until the answer is the expected one, and tells the last one if it never is.
pub async fn becomes<T: PartialEq + Debug>(
    what: &str,
    expected: T,
    mut probe: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<()> {
    eventually(what, async || {
        let seen = probe().await?;
        if seen == expected {
            return Ok(Some(()));
        }
        bail!("{seen:?}, not {expected:?}")
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_asks_again_and_tells_the_last_answer() {
        let mut asked = 0;
        let counted = eventually("counting", async || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(counted.await.unwrap(), 3);
        let error = becomes("the answer", 42, async || Ok(41))
            .await
            .unwrap_err();
        assert!(
            error.to_string().ends_with("at last: 41, not 42"),
            "{error}"
        );
    }
}
