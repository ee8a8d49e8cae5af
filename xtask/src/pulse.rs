use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(15);

/// Does what may take long in silence, and says every 15 seconds that it goes on.
pub(crate) fn with_pulse<T>(what: &str, work: impl FnOnce() -> T) -> T {
    with_pulse_every(
        EVERY,
        |seconds| println!("{what}: {seconds} s so far"),
        work,
    )
}

fn with_pulse_every<T>(
    every: Duration,
    mut tell: impl FnMut(u64) + Send,
    work: impl FnOnce() -> T,
) -> T {
    let (working, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let began = Instant::now();
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                tell(began.elapsed().as_secs());
            }
        });
        let result = work();
        drop(working);
        result
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn it_is_heard_while_the_work_goes_on_and_not_after() {
        let (tell, told) = channel();
        let tell = move |_| tell.send(()).unwrap();
        let heard = with_pulse_every(Duration::from_millis(1), tell, || {
            told.recv_timeout(Duration::from_secs(60)).is_ok()
        });
        assert!(heard);
        while told.try_recv().is_ok() {}
        assert_eq!(told.recv(), Err(mpsc::RecvError), "nobody tells any more");
    }
}
