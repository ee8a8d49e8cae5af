use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::envelope::{self, millis};
use super::{ContractError, DeltaKind, OrderId, Timestamp};

/// `{"schema":…,"payload":` of every outcome record, as Kafka's JsonConverter writes it.
const PREFIX: &str = concat!(
    r#"{"schema":{"type":"struct","fields":["#,
    r#"{"type":"string","optional":false,"field":"id"},"#,
    r#"{"type":"string","optional":false,"field":"order_id"},"#,
    r#"{"type":"string","optional":false,"field":"status"},"#,
    r#"{"type":"string","optional":true,"field":"reason"},"#,
    r#"{"type":"int64","optional":false,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"decided_at"}"#,
    r#"],"optional":false,"name":"order_outcomes"},"payload":"#,
);

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ContractError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let allowed: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    let problem = format!("`{text}` is not one of {}", allowed.join(", "));
                    ContractError::field(stringify!($name), problem)
                })
            }
        }
    };
}

text_enum! {
    /// What became of an order. `PENDING` is the absence of a decision, never a record.
    Status {
        Pending = "PENDING",
        Confirmed = "CONFIRMED",
        Rejected = "REJECTED",
        Cancelled = "CANCELLED",
    }
}

text_enum! {
    /// Why an order was rejected.
    Reason {
        OutOfStock = "OUT_OF_STOCK",
        UnknownProduct = "UNKNOWN_PRODUCT",
        /// The cancellation overtook the reservation.
        CancelledFirst = "CANCELLED_FIRST",
    }
}

/// The catalog's decision on one delta: the value of `order_outcomes`, keyed by the
/// order's id. It is a copy of a ledger row, so all copies of one decision are identical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub order_id: OrderId,
    pub kind: DeltaKind,
    pub status: Status,
    pub reason: Option<Reason>,
    pub decided_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    id: String,
    order_id: OrderId,
    status: Status,
    reason: Option<Reason>,
    #[serde(with = "millis")]
    decided_at: Timestamp,
}

impl Outcome {
    /// `<order id>:<kind>`, the primary key of the outcome's row.
    pub fn id(&self) -> String {
        format!("{}:{}", self.order_id, self.kind)
    }

    pub fn encode(&self) -> Vec<u8> {
        let payload = Payload {
            id: self.id(),
            order_id: self.order_id,
            status: self.status,
            reason: self.reason,
            decided_at: self.decided_at,
        };
        envelope::encode(PREFIX, &payload)
    }

    pub fn decode(record: &[u8]) -> Result<Self, ContractError> {
        let payload: Payload = envelope::decode(PREFIX, record)?;
        let kind = match payload.id.rsplit_once(':') {
            Some((_, "reserve")) => DeltaKind::Reserve,
            Some((_, "release")) => DeltaKind::Release,
            _ => {
                return Err(ContractError::field(
                    "id",
                    "must end in `:reserve` or `:release`",
                ));
            }
        };
        let outcome = Self {
            order_id: payload.order_id,
            kind,
            status: payload.status,
            reason: payload.reason,
            decided_at: payload.decided_at,
        };
        if outcome.id() != payload.id {
            return Err(ContractError::field("id", "must begin with the order's id"));
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            order_id: "0193b5a0-0000-7000-8000-000000000001".parse().unwrap(),
            kind: DeltaKind::Reserve,
            status: Status::Rejected,
            reason: Some(Reason::OutOfStock),
            decided_at: Timestamp::from_millis(1_764_000_000_456).unwrap(),
        }
    }

    #[test]
    fn the_record_is_the_committed_fixture() {
        let fixture = include_str!("../../fixtures/order_outcome.json");
        assert_eq!(
            String::from_utf8(outcome().encode()).unwrap(),
            fixture.trim_end()
        );
        assert_eq!(Outcome::decode(fixture.as_bytes()).unwrap(), outcome());
    }

    #[test]
    fn an_id_that_contradicts_the_order_is_refused() {
        let record = String::from_utf8(outcome().encode()).unwrap();
        let other = record.replace("000000000001:reserve", "000000000002:reserve");
        assert!(Outcome::decode(other.as_bytes()).is_err());
    }
}
