use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::envelope::{self, millis};
use super::{ContractError, OrderId, ProductId, Timestamp, UserId, ValueSchema};

/// `{"schema":…,"payload":` of every order record, as Kafka's JsonConverter writes it.
const PREFIX: &str = concat!(
    r#"{"schema":{"type":"struct","fields":["#,
    r#"{"type":"string","optional":false,"field":"id"},"#,
    r#"{"type":"int64","optional":false,"field":"user_id"},"#,
    r#"{"type":"int64","optional":false,"field":"product_id"},"#,
    r#"{"type":"int32","optional":false,"field":"qty"},"#,
    r#"{"type":"int64","optional":false,"field":"unit_price"},"#,
    r#"{"type":"int64","optional":false,"field":"total_price"},"#,
    r#"{"type":"int64","optional":false,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"created_at"},"#,
    r#"{"type":"string","optional":true,"field":"idempotency_key"}"#,
    r#"],"optional":false,"name":"orders"},"payload":"#,
);

/// An order as placed: the value of `orders`, keyed by the order's id. Prices are in
/// minor currency units. What became of it is on `order_outcomes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    pub id: OrderId,
    #[schema(value_type = i64, minimum = 1)]
    pub user_id: UserId,
    #[schema(value_type = i64, minimum = 1)]
    pub product_id: ProductId,
    #[schema(minimum = 1, maximum = 10_000)]
    pub qty: i32,
    #[schema(minimum = 0)]
    pub unit_price: i64,
    /// `qty` times `unit_price`.
    #[schema(minimum = 0)]
    pub total_price: i64,
    /// Milliseconds since 1970. Copies of an order may differ in it.
    #[serde(with = "millis")]
    #[schema(value_type = i64)]
    pub created_at: Timestamp,
    #[schema(required, min_length = 1, max_length = 255)]
    pub idempotency_key: Option<String>,
}

impl Order {
    pub fn encode(&self) -> Vec<u8> {
        envelope::encode(PREFIX, self)
    }

    pub fn decode(record: &[u8]) -> Result<Self, ContractError> {
        envelope::decode(PREFIX, record)
    }

    pub fn value_schema() -> ValueSchema {
        ValueSchema::in_envelope::<Self>(PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            id: "0193b5a0-0000-7000-8000-000000000001".parse().unwrap(),
            user_id: UserId(1),
            product_id: ProductId(2),
            qty: 5,
            unit_price: 1_200,
            total_price: 6_000,
            created_at: Timestamp::from_millis(1_764_000_000_123).unwrap(),
            idempotency_key: None,
        }
    }

    #[test]
    fn the_record_is_the_committed_fixture() {
        let fixture = include_str!("../../fixtures/order.json");
        assert_eq!(
            String::from_utf8(order().encode()).unwrap(),
            fixture.trim_end()
        );
    }

    #[test]
    fn any_layout_of_the_envelope_is_read() {
        let ours = order().encode();
        assert_eq!(Order::decode(&ours).unwrap(), order());
        let value: serde_json::Value = serde_json::from_slice(&ours).unwrap();
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        assert_eq!(Order::decode(&pretty).unwrap(), order());
    }

    #[test]
    fn a_record_without_its_envelope_is_refused() {
        assert!(Order::decode(br#"{"id":"0193b5a0-0000-7000-8000-000000000001"}"#).is_err());
    }
}
