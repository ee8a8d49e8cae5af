use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt};
use tokio::runtime::Handle;

/// What is asked of a database, and heard to its end: dropped half-way, as where whoever waits for
/// it gives up, it goes on in a task of its own.
///
/// sqlx puts a connection back into its pool even if whoever used it was dropped within a
/// statement or a ping. On MariaDB, an answer that nobody has read is then taken for the one to
/// the next statement, and so on: a product that is there is not found.
pub struct ToItsEnd<T: Send + 'static> {
    /// Until its end.
    asking: Option<BoxFuture<'static, T>>,
    begun: bool,
}

pub fn to_its_end<T: Send>(asking: impl Future<Output = T> + Send + 'static) -> ToItsEnd<T> {
    ToItsEnd {
        asking: Some(asking.boxed()),
        begun: false,
    }
}

impl<T: Send> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.begun = true;
        // Taken out, so that a panic is its end too.
        let Some(mut asking) = self.asking.take() else {
            return Poll::Pending;
        };
        let answer = asking.as_mut().poll(context);
        if answer.is_pending() {
            self.asking = Some(asking);
        }
        answer
    }
}

impl<T: Send> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        if let Some(asking) = self.asking.take()
            && self.begun
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(asking);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_goes_on_to_its_end() {
        let (reply, replied) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let asking = to_its_end(async move {
            replied.await.unwrap();
            end.send("read").unwrap();
        });
        let late = timeout(Duration::from_millis(1), asking).await;
        assert!(late.is_err(), "{late:?}");
        reply.send(()).unwrap();
        assert_eq!(ended.await.unwrap(), "read");
        assert_eq!(to_its_end(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_has_not_begun_is_not_asked() {
        let (end, ended) = oneshot::channel();
        drop(to_its_end(async move { end.send("read") }));
        ended.await.unwrap_err();
    }
}
