use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::envelope::{self, millis};
use super::{ContractError, DeltaKind, OrderId, Timestamp, ValueSchema};

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
        // Not by variant: the schema would not show a name that comes from this macro.
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum $name {
            $($(#[$vdoc])* $variant),+
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

/// The catalog's decision on one delta; all its copies are identical.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Outcome)]
struct Payload {
    /// `<order_id>:reserve` or `<order_id>:release`.
    #[schema(pattern = "^[0-9a-f-]{36}:(reserve|release)$")]
    id: String,
    order_id: OrderId,
    #[schema(schema_with = decided)]
    status: Status,
    #[schema(required)]
    reason: Option<Reason>,
    /// Milliseconds since 1970.
    #[serde(with = "millis")]
    #[schema(value_type = i64)]
    decided_at: Timestamp,
}

/// Every [`Status`] but the absence of a decision.
fn decided() -> Object {
    let all = Status::ALL.iter().copied();
    let decided = all.filter(|status| *status != Status::Pending);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(decided.map(Status::as_str)))
        .build()
}

impl Outcome {
    /// `<order id>:<kind>`, the primary key of the outcome's row.
    pub fn id(&self) -> String {
        Self::id_of(self.order_id, self.kind)
    }

    /// The [`Self::id`] that an order's outcome has, or would have.
    pub fn id_of(order: OrderId, kind: DeltaKind) -> String {
        format!("{order}:{kind}")
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

    pub fn value_schema() -> ValueSchema {
        ValueSchema::in_envelope::<Payload>(PREFIX)
    }

    pub fn decode(record: &[u8]) -> Result<Self, ContractError> {
        let payload: Payload = envelope::decode(PREFIX, record)?;
        let kind = payload.id.rsplit_once(':');
        let kind = kind
            .and_then(|(_, kind)| kind.parse().ok())
            .ok_or_else(|| ContractError::field("id", "must end in `:reserve` or `:release`"))?;
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
    use serde_json::json;

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
    fn texts_are_the_same_on_the_wire_in_the_database_and_in_the_schema() {
        fn check<T: Serialize + ToSchema>(all: &[T], texts: Vec<&str>) {
            assert_eq!(json!(all), json!(texts));
            assert_eq!(json!(T::schema())["enum"], json!(texts));
        }
        check(
            Status::ALL,
            Status::ALL.iter().map(|status| status.as_str()).collect(),
        );
        check(
            Reason::ALL,
            Reason::ALL.iter().map(|reason| reason.as_str()).collect(),
        );
    }

    #[test]
    fn an_id_that_contradicts_the_order_is_refused() {
        let record = String::from_utf8(outcome().encode()).unwrap();
        let other = record.replace("000000000001:reserve", "000000000002:reserve");
        assert!(Outcome::decode(other.as_bytes()).is_err());
    }
}
