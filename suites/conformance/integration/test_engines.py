"""What differs between engines: the size of a KV block, and the names of their own metrics."""

import asyncio

import pytest

from deployment.prompts import fresh, long_prefix
from deployment.waiting import eventually

pytestmark = [pytest.mark.pre_merge, pytest.mark.integration, pytest.mark.gpu_0, pytest.mark.core]

# Tokens of a KV block, by engine.
BLOCKS = {"vllm": 64, "sglang": 1, "trtllm": 32}
ENGINES = [
    pytest.param(engine, marks=pytest.mark.needs(engine_type=engine, mode="agg", router="kv"), id=engine)
    for engine in BLOCKS
]


@pytest.mark.parametrize("engine", ENGINES)
async def test_workers_use_the_engines_block_size(frontend, engine):
    metrics = await frontend.metrics()
    assert metrics.total("dynamo_frontend_model_kv_cache_block_size", model=frontend.model) == BLOCKS[engine]


@pytest.mark.parametrize("engine", ENGINES)
async def test_answers_and_streams_count_exactly(frontend, shows, engine):
    limits = (1, 2, 31, 65)
    whole = await asyncio.gather(*(frontend.chat(fresh(), max_tokens=limit) for limit in limits))
    usage = {"include_usage": True}
    streams = await asyncio.gather(*(frontend.stream(max_tokens=limit, stream_options=usage) for limit in limits))
    assert [answer.usage["completion_tokens"] for answer in whole] == list(limits)
    assert [stream.usages[0]["completion_tokens"] for stream in streams] == list(limits)
    assert all(shows(stream, limit) for stream, limit in zip(streams, limits, strict=True))


@pytest.mark.parametrize("engine", ENGINES)
async def test_engines_own_metrics_count_requests_and_tokens(frontend, fleet, engine):
    async def observed():
        scrapes = [await worker.metrics() for worker in fleet]
        names = ("time_to_first_token_seconds_count", "inter_token_latency_seconds_count")
        return [sum(scrape.total(f"{engine}:{name}") for scrape in scrapes) for name in names]

    before = await observed()
    await asyncio.gather(*(frontend.chat(fresh(), max_tokens=10) for _ in range(6)))
    expected = [before[0] + 6, before[1] + 6 * 9]
    await eventually(observed, lambda counts: counts == expected, what=f"{engine}'s counts at {expected}")


@pytest.mark.parametrize("engine", ENGINES)
async def test_no_other_engines_metrics_are_there(frontend, fleet, engine):
    await asyncio.gather(*(frontend.chat(fresh()) for _ in range(4)))
    scrapes = [await worker.metrics() for worker in fleet]
    prefixes = {name.split(":")[0] for scrape in scrapes for name in scrape.names() if ":" in name}
    assert prefixes == {engine}


@pytest.mark.parametrize("engine", ENGINES)
async def test_known_prompts_are_found_in_whole_blocks(frontend, engine):
    async def expected_hits():
        return (await frontend.metrics()).total("dynamo_component_router_kv_selected_cached_prefix_tokens_total")

    prompt = long_prefix()

    async def ask_again():
        before = await expected_hits()
        answer = await frontend.chat(prompt)
        return await expected_hits() - before, answer.usage["prompt_tokens"]

    def nearly_all(seen):
        hits, prompt_tokens = seen
        return prompt_tokens - hits <= 2 * BLOCKS[engine]

    await frontend.chat(prompt)
    hits, _ = await eventually(ask_again, nearly_all, what="all but the last blocks known")
    assert hits % BLOCKS[engine] == 0
