//! What CI systems are given.

use testbed_model::pipeline::Pipeline;
use testbed_model::project::Budgets;
use testbed_report::pipeline::{github, gitlab};

fn pipeline() -> Pipeline {
    let (plain, accelerated) = (vec!["mocker".to_owned()], vec!["vllm".to_owned(), "vllm-tp2".to_owned()]);
    Pipeline { plain, accelerated, gpus: vec![1, 2], ..Pipeline::new("github:o/r", &[], &Budgets::default()) }
}

#[test]
fn a_workflow_for_github() {
    insta::assert_snapshot!(github::write(&pipeline(), "main"));
}

#[test]
fn a_pipeline_for_gitlab() {
    insta::assert_snapshot!(gitlab::write(&pipeline()));
}

#[test]
fn every_action_is_pinned_to_a_commit() {
    let text = github::write(&pipeline(), "main");
    let used: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("- uses: ")).collect();
    assert!(used.len() >= 8, "{used:?}");
    for action in used {
        let (_, pin) = action.split_once('@').unwrap();
        let (commit, version) = pin.split_once(" # v").unwrap();
        assert!(commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{action}");
        assert!(!version.is_empty());
    }
}
