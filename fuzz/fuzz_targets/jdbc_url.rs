#![no_main]

use connect_worker::jdbc_url::driver_url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|jdbc: &str| {
    let _ = driver_url(jdbc, None, None);
    let _ = driver_url(jdbc, Some("me@home"), Some("p:/"));
});
