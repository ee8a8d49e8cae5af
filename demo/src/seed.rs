use std::net::SocketAddr;

use anyhow::Context;
use serde_json::json;

/// Id, name, price in minor units, quantity.
const PRODUCTS: [(i64, &str, i64, i64); 5] = [
    (1, "Espresso beans, 1 kg", 2_490, 100),
    (2, "Pour-over kettle", 6_900, 20),
    (3, "Paper filters, 100", 450, 1_000),
    (4, "Hand grinder", 11_900, 5),
    (5, "Limited mug", 1_800, 1),
];

/// Creates the products that are not there yet; the stock of the others stays.
pub(crate) async fn products(catalog_service: SocketAddr) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    for (id, name, unit_price, qty) in PRODUCTS {
        client
            .put(format!("http://{catalog_service}/catalog/{id}"))
            .json(&json!({"name": name, "unit_price": unit_price, "qty": qty}))
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .with_context(|| format!("product {id} cannot be created"))?;
    }
    Ok(())
}
