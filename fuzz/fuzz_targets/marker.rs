//! Environment markers (PEP 508): parentheses around one, and the same one twice, change nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_model::image::{Architecture, Target, parse_requirements};

const HASH: &str = "c24fe4eb8e60d8632d72ed104cce7c92cff200847c897dc8ba764b6c47b519e0";

fuzz_target!(|marker: &str| {
    // What ends a line, a comment or the pin is for the target `requirements`.
    if marker.contains(['\n', '\r', '#', '\\', ';']) || marker.contains("--") {
        return;
    }
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        let target = Target { python: "3.11", architecture };
        let holds = |marker: &str| {
            let line = format!("a==1 ; {marker} --hash=sha256:{HASH}\n");
            parse_requirements("r.txt", &line, &target).map(|pins| !pins.is_empty())
        };
        let Ok(answer) = holds(marker) else { continue };
        assert_eq!(holds(&format!("{marker} or {marker}")), Ok(answer));
        assert_eq!(holds(&format!("{marker} and {marker}")), Ok(answer));
        // There is a limit to parentheses within each other.
        if marker.matches('(').count() < 16 {
            assert_eq!(holds(&format!("({marker})")), Ok(answer));
        }
    }
});
