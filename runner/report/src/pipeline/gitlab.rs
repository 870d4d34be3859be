//! A pipeline for GitLab CI, on runners that execute in a shell with Nix and a container engine.

use testbed_model::pipeline::{Occasion, Pipeline};

use super::{CACHE, RECORDS, head, tier_of};

/// The pipeline's text.
pub fn write(pipeline: &Pipeline) -> String {
    let rules = rules(pipeline);
    let mut text = head(pipeline, "gitlab");
    text += &format!(
        "stages: [test]

.testbed:
  stage: test
  timeout: {minutes} minutes
  interruptible: true
  variables:
    GIT_DEPTH: \"0\"
  rules:
{rules}  cache:
    key: testbed-$CI_JOB_NAME_SLUG
    paths: [{CACHE}]
    when: always
  artifacts:
    when: always
    paths: [{RECORDS}]
    reports:
      junit: {RECORDS}/*/junit.xml

cpu:
  extends: .testbed
  tags: [docker]
  script:
    - nix run {flake}#test -- \"$TIER\" --enforce-budget
",
        minutes = pipeline.minutes,
        flake = pipeline.flake,
    );
    for count in &pipeline.gpus {
        text += &format!(
            "
# Machines of one's own, which the variable TESTBED_GPU of the project turns on.
gpu-{count}:
  extends: .testbed
  tags: [gpu-{count}]
  rules:
    - if: $TESTBED_GPU != \"true\"
      when: never
{rules}  script:
    - nix run {flake}#test -- \"$TIER\" -m 'gpu({count})'
",
            flake = pipeline.flake,
        );
    }
    text
}

/// Which tier on which occasion; the first rule that fits decides.
fn rules(pipeline: &Pipeline) -> String {
    let tier = |occasion| tier_of(pipeline, occasion);
    format!(
        "    - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"
      variables: {{ TIER: {proposal} }}
    - if: $CI_PIPELINE_SOURCE == \"schedule\" && $TESTBED_TIER == \"{weekly}\" # a variable of the schedule
      variables: {{ TIER: {weekly} }}
    - if: $CI_PIPELINE_SOURCE == \"schedule\"
      variables: {{ TIER: {nightly} }}
    - if: $CI_COMMIT_TAG
      variables: {{ TIER: {release} }}
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
      variables: {{ TIER: {merge} }}
    - if: $CI_PIPELINE_SOURCE == \"web\"
      variables: {{ TIER: {proposal} }}
",
        proposal = tier(Occasion::Proposal),
        weekly = tier(Occasion::Week),
        nightly = tier(Occasion::Night),
        release = tier(Occasion::Release),
        merge = tier(Occasion::Merge),
    )
}
