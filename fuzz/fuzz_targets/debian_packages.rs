//! Lists of Debian packages: a set does not drift from its own label, and the lock reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_model::image::{Architecture, Drift, PackageLock, PackagePin, PackageSet};

fuzz_target!(|text: &str| {
    if let Some(packages) = PackageSet::from_sums(text) {
        assert_eq!(Drift::of(&packages, &packages.label()), None, "{}", packages.label());
        for pin in packages.0.values() {
            assert_eq!(pin.to_string().parse::<PackagePin>().as_ref(), Ok(pin));
        }
        let mut lock = PackageLock::default();
        lock.record(&"nats".parse().expect("a name"), Architecture::Amd64, packages);
        let json = serde_json::to_string(&lock).expect("a lock is JSON");
        assert_eq!(serde_json::from_str::<PackageLock>(&json).expect("it was just written"), lock);
    }
    if let Ok(lock) = serde_json::from_str::<PackageLock>(text) {
        let json = serde_json::to_string(&lock).expect("a lock is JSON");
        assert_eq!(serde_json::from_str::<PackageLock>(&json).expect("it was just written"), lock);
    }
    if let Ok(pin) = text.parse::<PackagePin>() {
        assert_eq!(pin.to_string().parse::<PackagePin>(), Ok(pin));
    }
});
