/// How a letter's headers tell of its death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterForm {
    /// `dlq.reason`, `dlq.topic`, `dlq.partition`, `dlq.offset`.
    Own,
    /// Kafka Connect's: `__connect.errors.exception.message`, `__connect.errors.topic` and so
    /// on.
    Connect,
}

impl LetterForm {
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Own => "dlq.",
            Self::Connect => "__connect.errors.",
        }
    }

    pub(super) fn header(self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Own => "reason",
            Self::Connect => "exception.message",
        }
    }
}
