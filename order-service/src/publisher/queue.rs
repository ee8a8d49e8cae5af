use std::time::Duration;

use rdkafka::error::KafkaResult;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Job;

/// How long to wait for work before looking after a lost session.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait for one who was just answered, and for all of them.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_GATHERING: Duration = Duration::from_millis(25);
/// Between two looks at who is back: to be woken by each would cost more than their orders do.
const LOOK: Duration = Duration::from_micros(500);

/// The worker's end of the queue.
pub(super) struct Queue {
    jobs: mpsc::Receiver<Job>,
    stop: CancellationToken,
    max: usize,
    gathering: Gathering,
}

impl Queue {
    pub(super) fn new(jobs: mpsc::Receiver<Job>, stop: CancellationToken, max: usize) -> Self {
        Self {
            jobs,
            stop,
            max,
            gathering: Gathering::default(),
        }
    }

    /// Everything that waits, as soon as anything does; nothing after a while, so that a
    /// lost session is noticed without traffic; `None` when told to stop and all is done.
    pub(super) async fn next_batch(&mut self) -> Option<Vec<Job>> {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            taken = self.jobs.recv_many(&mut batch, self.max) => (taken > 0).then_some(batch),
            () = self.stop.cancelled() => None,
            () = tokio::time::sleep(IDLE) => Some(batch),
        }
    }

    /// Gives those who come back in time to `take`, as they come. Blocks.
    pub(super) fn gather(
        &mut self,
        found: usize,
        mut take: impl FnMut(Job) -> KafkaResult<()>,
    ) -> KafkaResult<()> {
        let Gathering {
            expected,
            pause,
            longest,
        } = self.gathering;
        let (begun, mut found) = (Instant::now(), found);
        let mut last = begun;
        loop {
            while found < self.max
                && let Ok(job) = self.jobs.try_recv()
            {
                take(job)?;
                (last, found) = (Instant::now(), found + 1);
            }
            let are_all_back = found >= expected.min(self.max);
            if are_all_back || last.elapsed() >= pause || begun.elapsed() >= longest {
                return Ok(());
            }
            std::thread::sleep(LOOK.min(pause));
        }
    }

    /// Whoever was answered now, or waits already, is expected for the next transaction.
    pub(super) fn answered(&mut self, answered: usize, commit: Duration) {
        self.gathering = Gathering::after(answered + self.jobs.len(), commit);
    }
}

/// Clients that were just answered often come back at once. Without waiting for them, they
/// would miss the next transaction, and two half-empty ones would take turns for ever.
///
/// The wait ends when all are back that were there, when nobody has come for a fraction of the
/// commit that they waited for, or when it has taken as long as that commit.
#[derive(Clone, Copy, Default)]
struct Gathering {
    expected: usize,
    pause: Duration,
    longest: Duration,
}

impl Gathering {
    fn after(expected: usize, commit: Duration) -> Self {
        Self {
            expected,
            pause: (commit / 4).min(LONGEST_PAUSE),
            longest: commit.min(LONGEST_GATHERING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> (mpsc::Sender<Job>, Queue) {
        let (sender, jobs) = mpsc::channel(16);
        (sender, Queue::new(jobs, CancellationToken::new(), 8))
    }

    fn order(sender: &mpsc::Sender<Job>) {
        let sent = sender.try_send(crate::publisher::job::tests::any());
        assert!(sent.is_ok());
    }

    fn gathered(queue: &mut Queue, gathering: Gathering) -> (usize, Duration) {
        let (mut taken, begun) = (0, Instant::now());
        queue.gathering = gathering;
        let take = |_| {
            taken += 1;
            Ok(())
        };
        queue.gather(0, take).unwrap();
        (taken, begun.elapsed())
    }

    #[test]
    fn who_was_just_answered_is_waited_for_but_not_long() {
        let (sender, mut queue) = queue();
        order(&sender);
        let commit = Duration::from_millis(8);
        let (size, took) = gathered(&mut queue, Gathering::after(2, commit));
        assert_eq!(size, 1);
        assert!(took >= commit / 4, "{took:?}");
    }

    #[test]
    fn who_keeps_coming_is_waited_for_until_all_are_back_or_it_takes_too_long() {
        let (sender, mut queue) = queue();
        let all = Gathering {
            expected: 4,
            pause: Duration::from_secs(60),
            longest: Duration::from_secs(60),
        };
        let coming = std::thread::spawn(move || {
            for _ in 0..4 {
                std::thread::sleep(Duration::from_millis(1));
                order(&sender);
            }
            sender
        });
        let (size, took) = gathered(&mut queue, all);
        assert_eq!(size, 4);
        assert!(took < all.pause, "{took:?}");

        let sender = coming.join().unwrap();
        order(&sender);
        let longest = Duration::from_millis(5);
        let (size, took) = gathered(&mut queue, Gathering { longest, ..all });
        assert_eq!(size, 1);
        assert!(took >= longest, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_queued_at_a_stop_is_handed_out_first() {
        let (sender, mut queue) = queue();
        for _ in 0..9 {
            sender
                .send(crate::publisher::job::tests::any())
                .await
                .unwrap();
        }
        queue.stop.cancel();
        assert_eq!(queue.next_batch().await.unwrap().len(), 8);
        assert_eq!(queue.next_batch().await.unwrap().len(), 1);
        assert!(queue.next_batch().await.is_none());
    }
}
