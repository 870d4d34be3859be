//! Requirement files: pins that were read are written in pip's spelling, and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_fuzz::check_fault;
use testbed_model::image::{Architecture, Target, parse_requirements};

fuzz_target!(|text: &str| {
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        let target = Target { python: "3.11", architecture };
        match parse_requirements("requirements.txt", text, &target) {
            Ok(pins) => {
                let lines: String = pins.iter().map(|pin| pin.line()).collect();
                assert_eq!(
                    parse_requirements("requirements.txt", &lines, &target).as_ref(),
                    Ok(&pins),
                    "{lines}"
                );
            }
            Err(fault) => check_fault(&fault, text),
        }
    }
});
