use std::fmt;
use std::time::Instant;

use e2e::Answer;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde::de::DeserializeOwned;
use shared::contract::OrderId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Order,
    Cancel,
    Adjustment,
    /// Of an order, or of a page.
    Read,
    /// The stock of a product that is there.
    Stock,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Cancel => "cancel",
            Self::Adjustment => "adjustment",
            Self::Read => "read",
            Self::Stock => "stock",
        }
    }

    fn successes(self) -> &'static [u16] {
        match self {
            Self::Order | Self::Adjustment => &[200, 201],
            Self::Cancel => &[202],
            Self::Read | Self::Stock => &[200],
        }
    }

    /// What else may be answered while something is broken. An order that the sink has not
    /// written for longer than the tail reaches back is not visible (404, 409).
    fn excuses(self) -> &'static [u16] {
        match self {
            Self::Order => &[503, 504],
            Self::Cancel => &[404, 409, 503, 504],
            Self::Adjustment => &[503, 504],
            Self::Read => &[404, 503],
            Self::Stock => &[503],
        }
    }
}

pub(crate) struct Times {
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
}

/// What a client got for a request.
pub(crate) enum Outcome {
    Answer(Operation, Answer),
    /// The connection broke, or nothing came in time.
    Broken(String),
}

impl Outcome {
    pub(crate) fn of(operation: Operation, answer: reqwest::Result<Answer>) -> Self {
        match answer {
            Ok(answer) => Self::Answer(operation, answer),
            Err(error) if error.is_timeout() => Self::Broken("no answer in time".to_owned()),
            Err(error) if error.is_connect() => Self::Broken("connection refused".to_owned()),
            Err(_) => Self::Broken("connection broken".to_owned()),
        }
    }

    /// None where there was no answer.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(_, answer) => Some(answer.status.as_u16()),
            Self::Broken(_) => None,
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        match self {
            Self::Answer(operation, answer) => {
                operation.successes().contains(&answer.status.as_u16())
            }
            Self::Broken(_) => false,
        }
    }

    pub(crate) fn body<T: DeserializeOwned>(&self) -> Option<T> {
        match self {
            Self::Answer(_, answer) if self.is_success() => answer.json().ok(),
            _ => None,
        }
    }

    /// The id that an order of unknown outcome would have.
    pub(crate) fn problem_id(&self) -> Option<OrderId> {
        match self {
            Self::Answer(_, answer) => answer.problem().ok()?.id?.parse().ok(),
            Self::Broken(_) => None,
        }
    }

    /// Why this answer must not be given: at all, or while everything is well.
    pub(crate) fn breaks_a_promise(&self, operation: Operation, calm: bool) -> Option<String> {
        if self.is_success() {
            return None;
        }
        if calm {
            return Some(format!("{} while nothing is broken", self.in_full()));
        }
        let Self::Answer(_, answer) = self else {
            return None;
        };
        // The HTTP library's own answer, before any of the request was read, by a service that
        // was frozen meanwhile.
        if answer.status == StatusCode::REQUEST_TIMEOUT {
            return None;
        }
        let problem = match answer.problem() {
            Ok(problem) => problem,
            Err(error) => return Some(format!("not a problem document: {error:#}")),
        };
        let kept = match answer.status.as_u16() {
            status if !operation.excuses().contains(&status) => false,
            503 | 409 => answer.headers.contains_key(RETRY_AFTER),
            504 => {
                let is_repeatable =
                    operation == Operation::Adjustment && answer.headers.contains_key(RETRY_AFTER);
                problem.kind == "urn:problem:outcome-unknown"
                    && (problem.id.is_some() || is_repeatable)
            }
            _ => true,
        };
        (!kept).then(|| self.in_full())
    }

    fn in_full(&self) -> String {
        match self {
            Self::Answer(_, answer) => format!("{} {}", answer.status, answer.text()),
            Self::Broken(how) => how.clone(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(_, answer) => write!(f, "{}", answer.status.as_u16()),
            Self::Broken(how) => f.write_str(how),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

    use super::*;

    fn refused(status: u16, kind: &str, retry_after: bool) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let id = OrderId::random();
        let body =
            format!(r#"{{"type":"urn:problem:{kind}","title":"t","status":{status},"id":"{id}"}}"#);
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.into_bytes(),
        };
        Outcome::of(Operation::Order, Ok(answer))
    }

    fn is_excused(outcome: &Outcome, calm: bool) -> bool {
        outcome.breaks_a_promise(Operation::Order, calm).is_none()
    }

    #[test]
    fn an_order_is_refused_as_promised_or_it_is_a_violation() {
        let unavailable = refused(503, "not-accepted", true);
        assert!(is_excused(&unavailable, false));
        assert!(!is_excused(&unavailable, true), "nothing is broken");
        assert!(!is_excused(&refused(503, "not-accepted", false), false));
        assert!(is_excused(&refused(504, "outcome-unknown", false), false));
        assert!(is_excused(&refused(408, "timeout", false), false));
        assert!(!is_excused(&refused(504, "timeout", false), false));
        assert!(!is_excused(&refused(500, "internal", true), false));
        assert!(!is_excused(&refused(404, "not-found", true), false));
    }

    /// It has no id to look up; to send it again is how to find out.
    #[test]
    fn an_adjustment_of_unknown_outcome_says_when_to_try_again() {
        let unknown = |retry_after| {
            let mut outcome = refused(504, "outcome-unknown", retry_after);
            if let Outcome::Answer(_, answer) = &mut outcome {
                answer.body =
                    br#"{"type":"urn:problem:outcome-unknown","title":"t","status":504}"#.to_vec();
            }
            outcome.breaks_a_promise(Operation::Adjustment, false)
        };
        assert_eq!(unknown(true), None);
        assert!(unknown(false).is_some());
    }
}
