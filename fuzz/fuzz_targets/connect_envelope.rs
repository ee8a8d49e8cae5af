#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::connect_json::{Decoder, Rules};
use shared::contract::{Order, Outcome};

fuzz_target!(|record: &[u8]| {
    for strict in [false, true] {
        let rules = Rules {
            strict,
            ..Rules::default()
        };
        let mut decoder = Decoder::new(rules);
        let first = decoder.decode(Some(record)).is_ok();
        assert_eq!(first, decoder.decode(Some(record)).is_ok());
        let _ = Decoder::schemaless(rules).decode(Some(record));
    }
    if let Ok(order) = Order::decode(record) {
        assert_eq!(Order::decode(&order.encode()).expect("an order"), order);
    }
    if let Ok(outcome) = Outcome::decode(record) {
        assert_eq!(
            Outcome::decode(&outcome.encode()).expect("an outcome"),
            outcome
        );
    }
});
