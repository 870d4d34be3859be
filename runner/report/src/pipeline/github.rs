//! A workflow for GitHub Actions. The runner itself tells annotations and the job's summary, where it finds itself there.

use testbed_model::pipeline::{Occasion, Pipeline};

use super::{CACHE, RECORDS, head, tier_of};

/// Actions by the commit of a released version, as their repositories have it.
const CHECKOUT: &str = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1";
const NIX: &str = "cachix/install-nix-action@630ae543ea3a38a9a4166f03376c02c50f408342 # v31.11.0";
const KEEP: &str = "actions/cache@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0";
const UPLOAD: &str = "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0";

/// Not at a full hour, when everybody's jobs start.
const NIGHTLY: &str = "17 2 * * *";
const WEEKLY: &str = "47 3 * * 0";

/// The workflow's text.
pub fn write(pipeline: &Pipeline, branch: &str) -> String {
    let tiers: Vec<&str> = pipeline.tiers.iter().map(|(tier, _)| tier.name()).collect();
    let counts: Vec<String> = pipeline.gpus.iter().map(ToString::to_string).collect();
    let tier = |occasion| tier_of(pipeline, occasion);
    let mut text = head(pipeline, "github");
    text += &format!(
        "name: testbed

on:
  pull_request:
  push:
    branches: [{branch}]
  schedule:
    - cron: \"{NIGHTLY}\" # {nightly}
    - cron: \"{WEEKLY}\" # {weekly}
  release:
    types: [published]
  workflow_dispatch:
    inputs:
      tier:
        description: Tier to run
        type: choice
        options: [{tiers}]
        default: {proposal}

permissions:
  contents: read

concurrency:
  group: testbed-${{{{ github.ref }}}}-${{{{ github.event_name }}}}-${{{{ github.event.schedule }}}}
  cancel-in-progress: ${{{{ github.event_name == 'pull_request' }}}}

env:
  TIER: >-
    ${{{{ inputs.tier
    || (github.event_name == 'pull_request' && '{proposal}')
    || (github.event_name == 'push' && '{merge}')
    || (github.event_name == 'release' && '{release}')
    || (github.event.schedule == '{WEEKLY}' && '{weekly}')
    || '{nightly}' }}}}

jobs:
",
        nightly = tier(Occasion::Night),
        weekly = tier(Occasion::Week),
        release = tier(Occasion::Release),
        merge = tier(Occasion::Merge),
        proposal = tier(Occasion::Proposal),
        tiers = tiers.join(", "),
    );
    text += &format!(
        "  cpu:
    name: ${{{{ github.event_name }}}} on CPU
    runs-on: ubuntu-24.04
    timeout-minutes: {minutes}
    steps:
{steps}",
        minutes = pipeline.minutes,
        steps = steps(pipeline, "cpu", "--enforce-budget"),
    );
    text += &format!(
        "
  # Machines of one's own, which the variable TESTBED_GPU of the repository turns on. Code from forks does not get there.
  gpu:
    name: ${{{{ github.event_name }}}} on ${{{{ matrix.gpus }}}} GPU
    if: >-
      vars.TESTBED_GPU == 'true'
      && (github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository)
    strategy:
      fail-fast: false
      matrix:
        gpus: [{counts}]
    runs-on: [self-hosted, linux, \"gpu-${{{{ matrix.gpus }}}}\"]
    timeout-minutes: {minutes}
    steps:
{steps}",
        counts = counts.join(", "),
        minutes = pipeline.minutes,
        steps = steps(pipeline, "gpu-${{ matrix.gpus }}", "-m 'gpu(${{ matrix.gpus }})'"),
    );
    text
}

fn steps(pipeline: &Pipeline, machine: &str, flags: &str) -> String {
    let flake = &pipeline.flake;
    format!(
        "      - uses: {CHECKOUT}
        with:
          fetch-depth: 0
          persist-credentials: false
      - uses: {NIX}
      - uses: {KEEP}
        with:
          path: {CACHE}
          key: testbed-{machine}-${{{{ github.sha }}}}
          restore-keys: testbed-{machine}-
      - run: nix run {flake}#test -- \"$TIER\" {flags}
      - uses: {UPLOAD}
        if: ${{{{ !cancelled() }}}}
        with:
          name: testbed-{machine}
          path: {RECORDS}
          include-hidden-files: true
          if-no-files-found: warn
"
    )
}
