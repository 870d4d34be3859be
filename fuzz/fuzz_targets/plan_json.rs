//! Plan files: a plan that was read has one spelling, and that has one id.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testbed_model::plan::{Plan, diff};

fuzz_target!(|data: &[u8]| {
    let Ok(plan) = serde_json::from_slice::<Plan>(data) else { return };
    let bytes = plan.canonical_json().expect("a plan is JSON");
    let again: Plan = serde_json::from_slice(&bytes).expect("it was just written");
    assert_eq!(again, plan);
    assert_eq!(again.canonical_json().expect("a plan is JSON"), bytes);
    assert_eq!(again.id().expect("a hash"), plan.id().expect("a hash"));
    assert!(diff(&plan, &again).is_empty(), "a plan differs from itself");
    let _ = plan.left_out();
});
