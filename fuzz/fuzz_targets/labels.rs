//! Texts of labels and of the host: owners, ranges of addresses, users. What is read, written and read again is one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_engine::host::files::Identity;
use testbed_engine::stack::{Owner, Subnet};

fuzz_target!(|text: &str| {
    if let Ok(owner) = text.parse::<Owner>() {
        assert_eq!(owner.to_string().parse::<Owner>(), Ok(owner));
    }
    if let Some(identity) = Identity::parse(text) {
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
    }
    if let Ok(range) = text.parse::<Subnet>() {
        assert_eq!(range.to_string().parse::<Subnet>(), Ok(range));
        assert!(range.address(0).is_some() && range.address(range.positions()).is_none());
        if text.ends_with("/20") {
            let candidates = range.candidates("seed", &[]);
            assert!(candidates.iter().all(|one| one.overlaps(range)));
            let Some(first) = candidates.first() else { panic!("no range in an empty one") };
            assert!(!range.candidates("seed", &[*first]).contains(first));
        }
    }
});
