"""Reuse of the KV cache by a real engine: told to the client, counted by the engine, and without effect on the text."""

import pytest

from deployment.prompts import long_prefix
from deployment.waiting import eventually

pytestmark = [
    pytest.mark.post_merge,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.router,
    pytest.mark.vllm,
    pytest.mark.needs(engine="real", engine_type="vllm", mode="agg"),
]

GREEDY = {"temperature": 0, "max_tokens": 16}
QUERIES, HITS = "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total"


async def counted(fleet):
    """Prompt tokens that the engines looked up, and those that they found."""
    scrapes = [await worker.metrics() for worker in fleet]
    return [sum(scrape.total(name) for scrape in scrapes) for name in (QUERIES, HITS)]


async def test_second_prompt_is_served_from_the_cache(frontend):
    prompt = long_prefix()
    first, second = [await frontend.chat(prompt, **GREEDY) for _ in range(2)]
    assert first.cached_tokens == 0
    # All whole blocks but what must be computed anew to have a first token.
    assert second.cached_tokens > second.usage["prompt_tokens"] / 2
    assert second.cached_tokens < second.usage["prompt_tokens"]


async def test_cached_tokens_are_whole_blocks(frontend):
    prompt = long_prefix()
    block = (await frontend.metrics()).total("dynamo_frontend_model_kv_cache_block_size", model=frontend.model)
    await frontend.chat(prompt, **GREEDY)
    for end in ("", " and more", " and other words"):
        cached = (await frontend.chat(prompt + end, **GREEDY)).cached_tokens
        assert cached > 0
        assert cached % block == 0


async def test_engine_counts_what_it_found(frontend, fleet):
    prompt = long_prefix()
    before = await counted(fleet)
    first = await frontend.chat(prompt, **GREEDY)
    tokens = first.usage["prompt_tokens"]
    expected = [before[0] + tokens, before[1]]
    await eventually(lambda: counted(fleet), lambda seen: seen == expected, what=f"counts at {expected}")
    second = await frontend.chat(prompt, **GREEDY)
    expected = [before[0] + 2 * tokens, before[1] + second.cached_tokens]
    await eventually(lambda: counted(fleet), lambda seen: seen == expected, what=f"counts at {expected}")


async def test_text_from_the_cache_is_the_text_without_it(frontend):
    prompt = long_prefix()
    answers = [await frontend.chat(prompt, **GREEDY) for _ in range(3)]
    assert [answer.cached_tokens > 0 for answer in answers] == [False, True, True]
    assert {answer.text for answer in answers} == {answers[0].text}


async def test_prompt_that_differs_at_its_beginning_finds_nothing(frontend):
    prompt = long_prefix()
    await frontend.chat(prompt, **GREEDY)
    assert (await frontend.chat(f"x{prompt}", **GREEDY)).cached_tokens == 0
