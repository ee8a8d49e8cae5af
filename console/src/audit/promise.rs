use std::collections::HashMap;
use std::time::Instant;

use super::Invariant;
use super::sight::{Sight, TOGETHER};

/// What became of a request, once all that was to be tried was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200 or 201.
    Acknowledged,
    /// 4xx or 503, every time.
    Refused,
    /// Broken connections, or 504: it may be placed.
    Unknown,
}

/// The requests of this console by their idempotency keys, until the topic has kept what the
/// answer promised.
#[derive(Debug, Default)]
pub(super) struct Promises(HashMap<String, Promise>);

#[derive(Debug, Default)]
struct Promise {
    /// Whether its order could be seen from the start: the topics were read by then.
    followed: bool,
    seen: bool,
    answer: Option<(Answer, Instant)>,
}

/// An invariant that one request was held to, and what is wrong.
pub(super) type Kept = (Invariant, Option<&'static str>);

impl Promises {
    /// Before the request: its order may be seen before its answer.
    pub(super) fn expect(&mut self, key: &str, followed: bool) {
        let promise = Promise {
            followed,
            ..Promise::default()
        };
        self.0.insert(key.to_owned(), promise);
    }

    pub(super) fn answered(&mut self, key: &str, answer: Answer) -> Option<Kept> {
        self.0.get_mut(key)?.answer = Some((answer, Instant::now()));
        self.resolve(key)
    }

    /// Its order is on the topic.
    pub(super) fn seen(&mut self, key: &str) -> Option<Kept> {
        self.0.get_mut(key)?.seen = true;
        self.resolve(key)
    }

    fn resolve(&mut self, key: &str) -> Option<Kept> {
        let promise = self.0.get(key)?;
        let kept = match promise.answer?.0 {
            Answer::Acknowledged if promise.seen => (Invariant::Acknowledged, None),
            Answer::Refused if promise.seen => (
                Invariant::Refused,
                Some("every answer refused it, and it is committed"),
            ),
            _ => return None,
        };
        self.0.remove(key);
        Some(kept)
    }

    /// Those whose order should have been seen by now, with their keys; `None` where it may have
    /// come before the topics were read.
    pub(super) fn overdue(&mut self, sight: &Sight) -> Vec<(String, Option<Kept>)> {
        let mut overdue = Vec::new();
        self.0.retain(|key, promise| {
            let Some((answer, at)) = promise.answer else {
                return true;
            };
            if sight.of(at) < TOGETHER {
                return true;
            }
            let kept = match answer {
                Answer::Unknown => return false,
                _ if !promise.followed => None,
                Answer::Acknowledged => Some((
                    Invariant::Acknowledged,
                    Some("acknowledged, and not committed"),
                )),
                Answer::Refused => Some((Invariant::Refused, None)),
            };
            overdue.push((key.clone(), kept));
            false
        });
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledged_order_is_kept_whichever_comes_first() {
        let mut promises = Promises::default();
        promises.expect("answer first", true);
        assert_eq!(
            promises.answered("answer first", Answer::Acknowledged),
            None
        );
        assert_eq!(
            promises.seen("answer first"),
            Some((Invariant::Acknowledged, None))
        );
        promises.expect("record first", true);
        assert_eq!(promises.seen("record first"), None);
        let kept = promises.answered("record first", Answer::Acknowledged);
        assert_eq!(kept, Some((Invariant::Acknowledged, None)));
        assert!(promises.0.is_empty());
    }

    #[test]
    fn a_refused_order_that_is_committed_breaks_its_promise() {
        let mut promises = Promises::default();
        promises.expect("key", true);
        assert_eq!(promises.answered("key", Answer::Refused), None);
        let (invariant, fault) = promises.seen("key").unwrap();
        assert_eq!(invariant, Invariant::Refused);
        assert!(fault.is_some());
    }
}
