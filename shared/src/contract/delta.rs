use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ContractError, OrderId, ProductId, ValueSchema};

/// The largest quantity of one order, and so of one delta.
pub const MAX_QUANTITY: i32 = 10_000;

/// What a delta does to an order's reservation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DeltaKind {
    Reserve,
    Release,
}

impl DeltaKind {
    pub const ALL: [Self; 2] = [Self::Reserve, Self::Release];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Release => "release",
        }
    }
}

impl FromStr for DeltaKind {
    type Err = ContractError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                ContractError::field("kind", format!("`{text}` is not one of reserve, release"))
            })
    }
}

impl fmt::Display for DeltaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change of stock that an order asks for: the value of `catalog_deltas`, keyed by
/// the product's id so that a product's orders are served first come, first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delta {
    pub order_id: OrderId,
    #[schema(value_type = i64, minimum = 1)]
    pub product_id: ProductId,
    pub kind: DeltaKind,
    /// Negative for a reservation, positive for a release, never 0.
    #[schema(minimum = -10_000, maximum = 10_000)]
    pub delta: i32,
}

impl Delta {
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .unwrap_or_else(|error| unreachable!("plain fields serialise: {error}"))
    }

    pub fn value_schema() -> ValueSchema {
        ValueSchema::of::<Self>()
    }

    /// Reads a delta and checks the contract: sign by kind, 1 ≤ |delta| ≤ 10,000.
    pub fn decode(record: &[u8]) -> Result<Self, ContractError> {
        let delta: Self = serde_json::from_slice(record)?;
        let quantity = match delta.kind {
            DeltaKind::Reserve => -i64::from(delta.delta),
            DeltaKind::Release => i64::from(delta.delta),
        };
        if !(1..=i64::from(MAX_QUANTITY)).contains(&quantity) {
            let sign = if delta.kind == DeltaKind::Reserve {
                "-"
            } else {
                ""
            };
            let problem = format!(
                "{} is outside {sign}1 to {sign}{MAX_QUANTITY} for a {}",
                delta.delta, delta.kind
            );
            return Err(ContractError::field("delta", problem));
        }
        if delta.product_id.0 < 1 {
            return Err(ContractError::field("product_id", "must be positive"));
        }
        Ok(delta)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const ID: &str = "0193b5a0-0000-7000-8000-000000000001";

    fn decode(kind: &str, delta: i64) -> Result<Delta, ContractError> {
        let json =
            format!(r#"{{"order_id":"{ID}","product_id":1,"kind":"{kind}","delta":{delta}}}"#);
        Delta::decode(json.as_bytes())
    }

    #[test]
    fn the_record_is_plain_json() {
        let delta = decode("reserve", -5).unwrap();
        let expected =
            format!(r#"{{"order_id":"{ID}","product_id":1,"kind":"reserve","delta":-5}}"#);
        assert_eq!(String::from_utf8(delta.encode()).unwrap(), expected);
    }

    #[test]
    fn sign_and_size_are_part_of_the_contract() {
        for (kind, delta) in [
            ("reserve", -1),
            ("reserve", -10_000),
            ("release", 1),
            ("release", 10_000),
        ] {
            assert!(decode(kind, delta).is_ok(), "{kind} {delta}");
        }
        for (kind, delta) in [
            ("reserve", 1),
            ("reserve", 0),
            ("reserve", -10_001),
            ("release", -1),
            ("release", 10_001),
            ("reserve", i64::from(i32::MIN)),
            ("refund", 1),
        ] {
            assert!(decode(kind, delta).is_err(), "{kind} {delta}");
        }
    }

    #[test]
    fn anything_else_is_bad_data() {
        for record in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"order_id":"x","product_id":1,"kind":"reserve","delta":-1}"#,
        ] {
            assert!(Delta::decode(record.as_bytes()).is_err(), "{record}");
        }
        assert!(Delta::decode(&[0xff, 0xfe]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_delta_that_is_written_as_it_was_read_or_bad_data(
            kind in "reserve|release|r[a-z]{0,6}",
            product in any::<i64>(),
            delta in prop_oneof![-10_001..10_002_i64, any::<i64>()],
            (at, byte) in any::<(Index, u8)>(),
        ) {
            let mut record = format!(
                r#"{{"order_id":"{ID}","product_id":{product},"kind":"{kind}","delta":{delta}}}"#
            )
            .into_bytes();
            if let Ok(delta) = Delta::decode(&record) {
                prop_assert_eq!(delta.encode(), record.clone());
            }
            let at = at.index(record.len());
            record[at] = byte;
            if let Ok(delta) = Delta::decode(&record) {
                prop_assert_eq!(Delta::decode(&delta.encode()).unwrap(), delta);
            }
        }
    }
}
