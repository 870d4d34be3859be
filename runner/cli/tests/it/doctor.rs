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
    error: unknown profile `smal`
    hint: did you mean `small`?
    ");
}

#[test]
fn a_combination_can_be_required_and_a_matrix_stands_for_all_of_its_combinations() {
    let root = crate::site::repository();
    let site = Site::small();
    let doctor = |profile: &str| {
        let host = root.join("runner/cli/tests/fixtures/hosts/laptop.toml");
        let arguments = ["--root", root.to_str().unwrap(), "--facts", host.to_str().unwrap()];
        site.testbed(["doctor", "--require", profile].into_iter().chain(arguments))
    };
    for (profile, told, code) in [
        ("mocker+etcd-cluster", "mocker+etcd-cluster ", ExitCode::Passed),
        ("mocker-planes", "mocker-planes+request-tcp+event-zmq ", ExitCode::Passed),
        ("vllm-agg+router-kv", "vllm-agg+router-kv ", ExitCode::Environment),
    ] {
        let ended = doctor(profile);
        assert_eq!(ended.code(), code, "{profile}: {}", ended.told());
        assert!(ended.out.contains(&format!("\n{told}")), "{profile}: {}", ended.out);
    }
    let ended = doctor("mocker+etcd-clutser");
    assert_eq!(ended.code(), ExitCode::Usage);
    assert!(ended.err.contains("unknown overlay `etcd-clutser`"), "{}", ended.err);
}

#[test]
fn a_model_that_has_to_be_fetched_is_told_with_the_command_that_does() {
    let model = format!(
        "[[model]]\nname = \"far\"\nhuggingface = \"A/b\"\nrevision = \"{}\"\nlicence = \"MIT\"\nsize = 5\nfiles = [{{ path = \"words\", sha256 = \"{}\", size = 5 }}]\n",
        "0c".repeat(20),
        "0c".repeat(32)
    );
    let profile = "extends = \"small\"\ntiers = [\"premerge\"]\nmodels = [\"A/b\"]\n";
    let site = Site::small()
        .with("models/models.toml", &model)
        .with("envs/wanting.toml", profile)
        .with("host.toml", "[daemon]\nname = \"Docker\"\nversion = \"28.5.1\"\n");
    let ended = site.testbed(["doctor", "--facts", "host.toml", "--require", "wanting"]);
    assert_eq!(ended.code(), ExitCode::Environment, "{}", ended.told());
    let told =
        "wanting  can run here, once the model `far` is here\n         hint: testbed models fetch far\n";
    assert!(ended.out.contains(told), "{}", ended.out);
}
