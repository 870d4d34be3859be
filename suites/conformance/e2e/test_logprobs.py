"""Logarithms of probabilities: one entry a token, the likeliest first, and no more than certainty in all."""

import itertools
import math

import pytest

from deployment.prompts import fresh

pytestmark = [
    pytest.mark.post_merge,
    pytest.mark.e2e,
    pytest.mark.gpu_0,
    pytest.mark.frontend,
    pytest.mark.vllm,
    pytest.mark.sglang,
    pytest.mark.trtllm,
    pytest.mark.needs(engine="real"),
]

ASKED = {"logprobs": True, "max_tokens": 12}
# What float32 may lose where thousands of probabilities are added up.
SLACK = 1e-3


@pytest.mark.parametrize("top", [0, 1, 5, 20])
async def test_every_token_has_an_entry_with_as_many_alternatives_as_asked(frontend, top):
    answer = await frontend.chat(fresh(), **ASKED, temperature=0, top_logprobs=top)
    assert len(answer.logprobs) == answer.usage["completion_tokens"] == 12
    assert [len(entry["top_logprobs"]) for entry in answer.logprobs] == [top] * 12


async def test_logprobs_are_finite_and_at_most_certainty(frontend):
    answer = await frontend.chat(fresh(), **ASKED, temperature=0, top_logprobs=5)
    for entry in answer.logprobs:
        values = [entry["logprob"], *(each["logprob"] for each in entry["top_logprobs"])]
        assert all(math.isfinite(value) and value <= 0 for value in values), entry
        assert sum(math.exp(each["logprob"]) for each in entry["top_logprobs"]) <= 1 + SLACK


async def test_alternatives_are_sorted_and_differ(frontend):
    answer = await frontend.chat(fresh(), **ASKED, temperature=0, top_logprobs=8)
    for entry in answer.logprobs:
        values = [each["logprob"] for each in entry["top_logprobs"]]
        assert all(left >= right for left, right in itertools.pairwise(values)), entry


async def test_greedy_choice_is_the_likeliest(frontend):
    answer = await frontend.chat(fresh(), **ASKED, temperature=0, top_logprobs=3)
    for entry in answer.logprobs:
        likeliest = entry["top_logprobs"][0]
        assert (likeliest["token"], likeliest["logprob"]) == (entry["token"], entry["logprob"])


async def test_chosen_token_is_at_most_as_likely_as_the_first(frontend):
    answer = await frontend.chat(fresh(), **ASKED, temperature=1, seed=7, top_logprobs=3)
    for entry in answer.logprobs:
        assert entry["logprob"] <= entry["top_logprobs"][0]["logprob"] + SLACK


async def test_bytes_of_the_tokens_are_the_text(frontend):
    answer = await frontend.chat(fresh(), **ASKED, temperature=0, top_logprobs=1)
    joined = b"".join(bytes(entry["bytes"] or []) for entry in answer.logprobs)
    assert joined.decode(errors="replace").strip("\N{REPLACEMENT CHARACTER}") in answer.text


async def test_stream_has_the_entries_of_the_whole_answer(frontend):
    prompt = fresh()
    whole = await frontend.chat(prompt, **ASKED, temperature=0, top_logprobs=2)
    stream = await frontend.stream(**frontend.chat_body(prompt, **ASKED, temperature=0, top_logprobs=2))
    assert [entry["token"] for entry in stream.logprobs] == [entry["token"] for entry in whole.logprobs]
    expected = [entry["logprob"] for entry in whole.logprobs]
    assert [entry["logprob"] for entry in stream.logprobs] == pytest.approx(expected, abs=1e-4)


async def test_who_does_not_ask_gets_none(frontend):
    answer = await frontend.chat(fresh(), temperature=0)
    assert not answer.body["choices"][0].get("logprobs")
