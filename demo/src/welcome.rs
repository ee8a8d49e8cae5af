use std::io::Write;

use crate::pair::Addresses;

pub(crate) fn addresses(addresses: &Addresses, broker: &str) {
    let [first, second] = addresses.order_services;
    println!("kafka            {broker}");
    println!("order-service    http://{first}");
    println!("order-service    http://{second}");
    println!("catalog-service  http://{}", addresses.catalog_service);
    println!("connect-worker   http://{}", addresses.connect_worker);
    println!("console          http://{}", addresses.console);
}

pub(crate) fn ready(addresses: &Addresses) {
    let [first, second] = addresses.order_services;
    let catalog = addresses.catalog_service;
    let console = addresses.console;
    println!(
        "
See it work:
  http://{console}
Place an order and wait for its outcome:
  curl -s -X POST http://{first}/orders -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d '{{\"user_id\":1,\"product_id\":1,\"qty\":2,\"unit_price\":2490}}'
See it on the other instance:
  curl -s 'http://{second}/orders?user_id=1'
See the stock that is left:
  curl -s http://{catalog}/catalog/1

Every service has its API at /docs. Ctrl-C stops.

Ready."
    );
}

pub(crate) fn farewell() {
    last_words("Stopping: every order is finished first.");
}

/// Nobody may read them any more, which must not keep anything from its end.
pub(crate) fn last_words(line: &str) {
    writeln!(std::io::stdout(), "{line}").ok();
}
