use shared::asyncapi::{Action, Document, Operation, delta, order, outcome};

use crate::settings::Settings;

/// What is behind `/asyncapi.json`.
pub fn asyncapi(settings: &Settings) -> Document {
    let topics = &settings.topics;
    Document::new(
        "order-service",
        "Takes orders and writes nothing but Kafka records.",
    )
    .channel("orders", &topics.orders, [order()])
    .channel("catalog_deltas", &topics.catalog_deltas, [delta()])
    .channel("order_outcomes", &topics.order_outcomes, [outcome()])
    .operation(Operation {
        name: "placeOrder",
        action: Action::Send,
        channel: "orders",
        message: "Order",
        summary: "In one transaction with the order's reservation. All orders of a transaction \
                  go to one partition, whatever their keys: copies of an order may be on several.",
        group: None,
    })
    .operation(Operation {
        name: "changeStock",
        action: Action::Send,
        channel: "catalog_deltas",
        message: "Delta",
        summary: "An order's reservation, or the release of an order that is cancelled.",
        group: None,
    })
    .operation(Operation {
        name: "followOrders",
        action: Action::Receive,
        channel: "orders",
        message: "Order",
        summary: "On every instance, without a group, as committed: what the sink has not \
                  written yet can be read.",
        group: None,
    })
    .operation(Operation {
        name: "followOutcomes",
        action: Action::Receive,
        channel: "order_outcomes",
        message: "Outcome",
        summary: "On every instance, without a group: what becomes of orders can be waited for.",
        group: None,
    })
}
