use std::fmt;
use std::str::FromStr;

use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Namespace of the ids derived from an idempotency key. Frozen: changing it would turn
/// every retry in flight into a second order.
const KEYED_ORDERS: Uuid = Uuid::from_u128(0x6f72_6465_7273_5f62_795f_6964_656d_706b);

/// An order's id: UUIDv7, or UUIDv5 where the client sent an `Idempotency-Key`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    DeriveValueType,
)]
#[sea_orm(value_type = "String")]
#[serde(transparent)]
pub struct OrderId(Uuid);

impl OrderId {
    /// A fresh, time-ordered id.
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The one id of an order placed with an idempotency key: the same request gives
    /// the same id on any instance, at any time, without a store.
    ///
    /// `parts` are length-prefixed, so that no two lists of parts share their bytes.
    pub fn from_parts(parts: &[&[u8]]) -> Self {
        let mut name = Vec::new();
        for part in parts {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part);
        }
        Self(Uuid::new_v5(&KEYED_ORDERS, &name))
    }

    /// Whether the id was derived from an idempotency key.
    pub fn is_keyed(self) -> bool {
        self.0.get_version_num() == 5
    }

    /// When a UUIDv7 was made; `None` for an id derived from an idempotency key.
    pub fn created_at_millis(self) -> Option<i64> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        i64::try_from(seconds * 1_000 + u64::from(nanos / 1_000_000)).ok()
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

macro_rules! integer_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            ToSchema, DeriveValueType,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

integer_id! {
    /// A product's id, positive; the key of `catalog_deltas`.
    ProductId
}
integer_id! {
    /// A customer's id, positive.
    UserId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_keyed_id_cannot_run_into_each_other() {
        assert_ne!(
            OrderId::from_parts(&[b"1", b"23"]),
            OrderId::from_parts(&[b"12", b"3"])
        );
    }

    #[test]
    fn keyed_ids_are_frozen() {
        let id = OrderId::from_parts(&[b"v1", b"1", b"key", b"2", b"3", b"4"]);
        assert_eq!(id.to_string(), "9ae75b2b-604b-547b-bef9-d28988543280");
        assert_eq!(id.created_at_millis(), None);
    }

    #[test]
    fn a_fresh_id_knows_when_it_was_made() {
        let before = crate::contract::Timestamp::now().millis();
        let made = OrderId::random().created_at_millis().unwrap();
        assert!((before..=before + 60_000).contains(&made));
    }
}
