"""The markers that Dynamo's tests carry, in every spelling in use."""

import re

import pytest

# Spelling in use today: what it says. An argument list in the key is documentation for `pytest --markers`.
MARKERS = {
    # Tier.
    "pre_merge": "tier: runs before a merge",
    "post_merge": "tier: runs after a merge",
    "nightly": "tier: runs every night",
    "weekly": "tier: runs every week",
    "release": "tier: runs before a release",
    "skip_in_nightly": "tier: left out of the nightly run",
    # Hardware.
    "gpu_0": "hardware: no GPU",
    "gpu_1": "hardware: one GPU",
    "gpu_2": "hardware: two GPUs",
    "gpu_4": "hardware: four GPUs",
    "gpu_8": "hardware: eight GPUs",
    "h100": "hardware: an H100",
    "xpu_1": "hardware: one Intel XPU",
    "xpu_2": "hardware: two Intel XPUs",
    "k8s": "hardware and deployment: a Kubernetes cluster",
    "profiled_vram_gib(gib)": "measured peak of GPU memory in GiB",
    "requested_vllm_kv_cache_bytes(bytes)": "KV cache that vLLM is asked for",
    "requested_sglang_kv_tokens(tokens)": "KV tokens that SGLang is asked for",
    "requested_sglang_vram_gib(gib)": "GPU memory that SGLang is asked for in GiB",
    "requested_trtllm_kv_tokens(tokens)": "KV tokens that TensorRT-LLM is asked for",
    "requested_trtllm_vram_gib(gib)": "GPU memory that TensorRT-LLM is asked for in GiB",
    # Type.
    "unit": "type: one part alone",
    "integration": "type: parts together",
    "e2e": "type: the deployment as a client sees it",
    "stress": "type: load beyond the usual",
    "performance": "type: speed against a bound",
    "benchmark": "type: speed as a number",
    "multimodal": "type: images, audio or video",
    "security": "type: what must not be possible",
    "fault_tolerance": "type and component: behaviour while something is broken",
    # Backend.
    "vllm": "backend: vLLM",
    "sglang": "backend: SGLang",
    "trtllm": "backend: TensorRT-LLM",
    "lmcache": "backend: LMCache",
    "none": "backend: none",
    # Component.
    "core": "component: runtime and bindings",
    "router": "component: router",
    "planner": "component: planner",
    "kvbm": "component: KV block manager",
    "kvbm_concurrency": "component: KV block manager under concurrency",
    "frontend": "component: frontend",
    "deploy": "component and deployment: deployment",
    "power_agent": "component: power agent",
    "aiconfigurator": "component: AI configurator",
    # Execution.
    "parallel": "execution: may run beside others",
    "slow": "execution: takes long",
    "fast": "execution: takes little",
    "timeout(seconds)": "execution: ends as failed after this time",
    "flaky(reruns, only_rerun)": "execution: repeated on failure",
    "model(name)": "execution: the model that must be there",
    "custom_build": "execution: needs a special build",
    # Deployment.
    "slurm": "deployment: a Slurm cluster",
    # Testbed's own.
    "needs(**facts)": (
        "what must hold of the stack, such as needs(router='kv', workers_at_least=2, control=True); "
        "otherwise the case is skipped with the reason, or left to another stack of the run"
    ),
}

# Other spelling: the one in use today. A case with the first also gets the second, so that one expression finds both.
ALIASES = {
    "premerge": "pre_merge",
    "pre-merge": "pre_merge",
    "postmerge": "post_merge",
    "post-merge": "post_merge",
    "gpus_needed_0": "gpu_0",
    "gpus_needed_1": "gpu_1",
    "gpus_needed_2": "gpu_2",
    "tensorrt_llm": "trtllm",
    "kv_router": "router",
}

TIERS = frozenset(["pre_merge", "post_merge", "nightly", "weekly", "release"])
HARDWARE = re.compile(r"(gpu_\d+|xpu_\d+|h100|k8s)\Z")
DEFAULT_TIER = "pre_merge"
DEFAULT_HARDWARE = "gpu_0"


def register(config):
    """Make every marker known, so that ``--strict-markers`` accepts it."""
    for signature, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{signature}: {meaning}")
    for spelling, today in ALIASES.items():
        config.addinivalue_line("markers", f"{spelling}: the same as {today}")


def complete(items):
    """Give each case today's spelling of its markers, and a tier and hardware if it has none."""
    for item in items:
        names = {mark.name for mark in item.iter_markers()}
        for name in missing(names):
            item.add_marker(getattr(pytest.mark, name))


def missing(names):
    """Say which markers a case with these `names` lacks, in a fixed order."""
    added = [ALIASES[name] for name in sorted(names) if name in ALIASES and ALIASES[name] not in names]
    everything = names.union(added)
    if not everything & TIERS:
        added.append(DEFAULT_TIER)
    if not any(HARDWARE.match(name) for name in everything):
        added.append(DEFAULT_HARDWARE)
    return list(dict.fromkeys(added))
