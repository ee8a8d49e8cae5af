use std::panic::resume_unwind;
use std::time::Duration;

use tokio::time::timeout;

/// Whoever asked waits no longer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no answer for {} s", .0.as_secs_f32())]
pub struct TimedOut(Duration);

/// Waits no longer than `limit` for what is asked of a database; the asking goes on to its end.
///
/// sqlx puts a connection back into its pool even if whoever used it was dropped within a
/// statement or a ping. On MariaDB, an answer that nobody has read is then taken for the one to
/// the next statement, and so on: a product that is there is not found.
pub async fn answered_within<T: Send + 'static>(
    limit: Duration,
    asking: impl Future<Output = T> + Send + 'static,
) -> Result<T, TimedOut> {
    match timeout(limit, tokio::spawn(asking)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(ended)) if ended.is_panic() => resume_unwind(ended.into_panic()),
        // The runtime ends, or it is too late.
        Ok(Err(_)) | Err(_) => Err(TimedOut(limit)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_goes_on_to_its_end() {
        let (reply, replied) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let asking = async move {
            replied.await.unwrap();
            end.send("read").unwrap();
        };
        let late = answered_within(Duration::from_millis(1), asking).await;
        assert!(late.is_err(), "{late:?}");
        reply.send(()).unwrap();
        assert_eq!(ended.await.unwrap(), "read");
        let soon = answered_within(Duration::from_secs(60), async { 7 }).await;
        assert_eq!(soon.unwrap(), 7);
    }
}
