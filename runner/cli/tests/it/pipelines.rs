//! The pipelines of this repository, and what `ci` says of them.

use std::fs;

use testbed_model::exit_code::ExitCode;

use crate::site::{Site, repository};

const FILES: [(&str, &str); 2] = [("github", ".github/workflows/testbed.yml"), ("gitlab", ".gitlab-ci.yml")];

#[test]
fn the_pipelines_of_this_repository_are_what_would_be_made() {
    let site = Site::empty();
    for (system, file) in FILES {
        let mut check = site.command(["ci", system, "--check", file]);
        let ended = site.ended(check.current_dir(repository()));
        assert_eq!(ended.code(), ExitCode::Passed, "{}", ended.told());
    }
}

#[test]
fn a_pipeline_that_was_changed_is_told_with_its_line() {
    let site = Site::small();
    let made = site.testbed(["ci", "gitlab", "--output", "made.yml"]);
    assert_eq!((made.code(), made.out.as_str()), (ExitCode::Passed, ""), "{}", made.told());
    let printed = site.testbed(["ci", "gitlab"]).out;
    assert_eq!(fs::read_to_string(site.path().join("made.yml")).unwrap(), printed);
    assert_eq!(site.testbed(["ci", "gitlab", "--check", "made.yml"]).code(), ExitCode::Passed);
    let site = site.with("changed.yml", &printed.replace("stages: [test]", "stages: [other]"));
    insta::assert_snapshot!(site.refuses(["ci", "gitlab", "--check", "changed.yml"], ExitCode::TestFailed), @r"
    error: changed.yml:5: the pipeline is not what would be made now: `stages: [other]`, and not `stages: [test]`
    hint: make it again by `testbed ci gitlab --output changed.yml`
    ");
    insta::assert_snapshot!(site.refuses(["ci", "github", "--check", "none.yml"], ExitCode::Usage), @r"
    error: cannot read `none.yml`: No such file or directory (os error 2)
    hint: check the path
    ");
}
