//! Folders that are not there, not readable, or not what they should be.

use std::fs;

use testbed_model::exit_code::ExitCode;

use crate::site::Site;

#[test]
fn outside_of_a_checkout_the_runners_own_configuration_is_in_force() {
    let site = Site::empty().with("project/tests/unit/test_x.py", "def test_x():\n    pass\n");
    let plan = || {
        let mut plan = site.command(["plan", "--no-collect", "--json"]);
        plan.current_dir(site.path().join("project")).env("XDG_CACHE_HOME", site.path().join("cache"));
        site.ended(&mut plan)
    };
    let (first, second) = (plan(), plan());
    assert_eq!((first.code(), second.code()), (ExitCode::Passed, ExitCode::Passed), "{}", first.told());
    assert_eq!(first.out, second.out);
    let unpacked: Vec<_> = fs::read_dir(site.path().join("cache/testbed")).unwrap().flatten().collect();
    assert_eq!(unpacked.len(), 1, "{unpacked:?}");
    let carried = fs::read(unpacked[0].path().join("envs/default.toml")).unwrap();
    assert_eq!(carried, fs::read(crate::site::repository().join("envs/default.toml")).unwrap());

    fs::write(site.path().join("file"), "").unwrap();
    let mut nowhere = site.command(["plan"]);
    nowhere.env("XDG_CACHE_HOME", site.path().join("file"));
    let told = site.refused(&mut nowhere, ExitCode::Usage);
    assert!(
        told.starts_with("error: cannot put Testbed's own configuration into `[site]/file/testbed/root-"),
        "{told}"
    );
    assert!(told.contains("hint: make it writable, set XDG_CACHE_HOME"), "{told}");
}

#[test]
fn a_root_without_profiles_is_named() {
    let site = Site::small().without("envs");
    insta::assert_snapshot!(site.refuses(["plan", "--root", "."], ExitCode::Usage), @r"
    error: cannot read `[site]/envs`: No such file or directory (os error 2)
    hint: restore it, or name another folder by `--root PATH`
    ");
}

#[test]
fn a_root_without_its_base_layer_is_named() {
    let site = Site::small().without("envs/default.toml");
    insta::assert_snapshot!(site.refuses(["plan", "--root", "."], ExitCode::Usage), @r"
    error: there is no base layer `envs/default.toml`
    hint: name the folder that holds `envs/` by `--root PATH`
    ");
}

#[test]
fn a_root_without_stacks_is_named() {
    let site = Site::small().without("compose");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: cannot read `[site]/compose`: No such file or directory (os error 2)
    hint: restore it, or name another folder by `--root PATH`
    ");
}

#[test]
fn a_folder_on_the_command_line_must_be_one() {
    let site = Site::small();
    insta::assert_snapshot!(site.refuses(["plan", "--root", "nowhere"], ExitCode::Usage), @r"
    error: `--root nowhere` is not a folder
    hint: check the path
    ");
    insta::assert_snapshot!(site.refuses(["plan", "--project", "testbed.toml"], ExitCode::Usage), @r"
    error: `--project testbed.toml` is not a folder
    hint: check the path
    ");
    let mut plan = site.command(["plan"]);
    plan.env("TESTBED_ROOT", "nowhere");
    insta::assert_snapshot!(site.refused(&mut plan, ExitCode::Usage), @r"
    error: `--root nowhere` is not a folder
    hint: check the path
    ");
}

#[test]
fn a_file_that_is_not_text_is_named() {
    let site = Site::small().with_bytes("envs/small.toml", b"stack = \"\xff\xfe\"\n");
    insta::assert_snapshot!(site.refuses(["plan"], ExitCode::Usage), @r"
    error: cannot read `[site]/envs/small.toml`: stream did not contain valid UTF-8
    hint: save it as UTF-8
    ");
}

#[test]
fn a_folder_in_the_place_of_a_file_is_named() {
    let site = Site::small().with("envs/folder.toml/x", "");
    let told = site.refuses(["plan"], ExitCode::Usage);
    assert!(told.contains("envs/folder.toml"), "{told}");
}

#[test]
fn a_working_folder_that_is_gone_is_told() {
    let site = Site::small();
    let gone = site.path().join("gone");
    fs::create_dir(&gone).unwrap();
    // The shell removes the folder under its own feet.
    let script = "cd gone && rmdir ../gone && exec \"$0\" plan";
    let mut shell = crate::site::command(std::path::Path::new("sh"), ["-c", script]);
    shell.arg(crate::site::binary()).current_dir(site.path());
    insta::assert_snapshot!(site.refused(&mut shell, ExitCode::Usage), @r"
    error: cannot tell the working folder: No such file or directory (os error 2)
    hint: change to a folder that exists
    ");
}

#[test]
fn the_configuration_is_found_from_any_folder_below_it() {
    let site = Site::small().with("a/b/c/file", "");
    let above = site.testbed(["plan", "--json"]);
    let mut plan = site.command(["plan", "--json"]);
    plan.current_dir(site.path().join("a/b/c"));
    let below = site.ended(&mut plan);
    assert_eq!((above.code(), below.code()), (ExitCode::Passed, ExitCode::Passed), "{}", below.told());
    assert_eq!(above.out, below.out);
}

#[test]
fn without_a_project_file_the_checkout_is_the_project() {
    let config = Site::small();
    let checkout = Site::empty().with("tests/unit/test_x.py", "def test_x():\n    pass\n");
    let made =
        std::process::Command::new("git").args(["init", "--quiet"]).current_dir(checkout.path()).status();
    assert!(made.unwrap().success());
    let mut plan = checkout.command(["plan", "--no-collect"]);
    plan.current_dir(checkout.path().join("tests/unit")).env("TESTBED_ROOT", config.path());
    let ended = checkout.ended(&mut plan);
    assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.err);
    assert_eq!(ended.err, "warning: there is no `testbed.toml`; the suites are told from `tests`\n");
}
