//! Descriptions of devices for container engines: a fault lies in the text, and every device is named in full.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::cdi;

fuzz_target!(|text: &str| match cdi::devices("nvidia.yaml", text) {
    Ok(devices) => assert!(devices.iter().all(|device| device.contains('='))),
    Err(fault) => check_fault(&fault, text),
});
