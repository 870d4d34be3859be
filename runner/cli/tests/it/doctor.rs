//! What `doctor` finds.

use testbed_model::exit_code::ExitCode;

use crate::site::Site;

#[test]
fn what_is_in_force_is_told_also_without_an_engine() {
    let site = Site::small();
    let mut doctor = site.command(["doctor", "--json", "--require", "small"]);
    doctor.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    doctor.env("TESTBED_FLAKE_REVISION", "abc").env("TESTBED_FLAKE_LOCK_HASH", "sha256:0123");
    let ended = site.ended(&mut doctor);
    assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.told());
    let found: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(found["configuration"]["origin"], "upward");
    assert_eq!(found["facts"]["flake"]["lock"], "sha256:0123");
    assert!(found["engine"]["message"].as_str().unwrap().contains("/nonexistent/docker.sock"), "{found}");
    assert_eq!(found["profiles"][0]["name"], "small");
    assert_eq!(found["profiles"][0]["trouble"], found["engine"]);

    let mut doctor = site.command(["doctor"]);
    doctor.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let ended = site.ended(&mut doctor);
    assert_eq!(ended.code(), ExitCode::Passed);
    assert!(ended.out.contains("found from the working folder upward"), "{}", ended.out);
    assert!(ended.out.contains("small  needs the engine"), "{}", ended.out);
}

#[test]
fn a_profile_that_needs_what_is_not_here_says_so() {
    let profile =
        "extends = \"small\"\ndescription = \"d\"\norder = 9\n[requirements]\nmemory = \"900TiB\"\n";
    let site = Site::small().with("envs/large.toml", profile);
    let mut doctor = site.command(["doctor", "--require", "large"]);
    doctor.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let ended = site.ended(&mut doctor);
    assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.told());
    assert!(ended.out.contains("large  it needs 900TiB of memory, and this host has"), "{}", ended.out);
    insta::assert_snapshot!(site.refuses(["doctor", "--require", "smal"], ExitCode::Usage), @r"
    error: there is no profile `smal`
    hint: did you mean `small`?
    ");
}
