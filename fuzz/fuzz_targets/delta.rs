#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::contract::Delta;

fuzz_target!(|record: &[u8]| {
    if let Ok(delta) = Delta::decode(record) {
        let again = Delta::decode(&delta.encode()).expect("what was read can be written");
        assert_eq!(again, delta);
    }
});
