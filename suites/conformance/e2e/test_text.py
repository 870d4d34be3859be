"""What only a real engine can show in its text: the same question has the same answer, and a stop string ends it."""

import asyncio
import re

import pytest

from deployment.frontend import COMPLETIONS
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

# The likeliest token every time, and never the one that ends the text.
GREEDY = {"temperature": 0, "ignore_eos": True}
# Fixed, so that what is printed can be compared between runs.
PROMPTS = ["hello", "the quick brown fox", "what is the capital of France?"]


async def greedy(frontend, prompt, tokens=32, **fields):
    return await frontend.chat(prompt, max_tokens=tokens, **GREEDY, **fields)


def piece_of(text):
    """A few letters or digits from the middle of a text, and where they come first."""
    words = re.findall(r"[A-Za-z0-9]{3,}", text)
    assert words, f"no word to stop at: {text!r}"
    word = words[len(words) // 2]
    return word, text.index(word)


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_greedy_text_is_the_same_every_time(frontend, prompt):
    texts = [(await greedy(frontend, prompt, seed=17)).text for _ in range(3)]
    print(f"greedy text of {prompt!r}: {texts[0]!r}")
    assert texts[0]
    assert texts == [texts[0]] * 3


async def test_different_prompts_have_different_texts(frontend):
    texts = [(await greedy(frontend, prompt)).text for prompt in PROMPTS]
    assert len(set(texts)) == len(PROMPTS)


async def test_greedy_text_needs_no_seed(frontend):
    prompt = fresh()
    texts = [(await greedy(frontend, prompt, **seed)).text for seed in ({}, {"seed": 1}, {"seed": 2})]
    assert texts == [texts[0]] * 3


async def test_equal_seeds_give_equal_texts(frontend):
    prompt = fresh()
    texts = [(await frontend.chat(prompt, max_tokens=32, temperature=1, seed=42)).text for _ in range(3)]
    assert texts == [texts[0]] * 3


async def test_other_seeds_give_other_texts(frontend):
    prompt = fresh()
    texts = [(await frontend.chat(prompt, max_tokens=32, temperature=1, seed=seed)).text for seed in range(4)]
    assert len(set(texts)) > 1


async def test_text_of_a_stream_is_the_whole_answers(frontend):
    prompt = fresh()
    whole = await greedy(frontend, prompt, 48)
    stream = await frontend.stream(**frontend.chat_body(prompt, **GREEDY, max_tokens=48))
    assert stream.text == whole.text


async def test_shorter_answer_begins_the_longer_one(frontend):
    prompt = fresh()
    short, long = [await greedy(frontend, prompt, tokens) for tokens in (16, 48)]
    # The last characters of a cut answer may be half of one.
    known = short.text.rstrip("\N{REPLACEMENT CHARACTER}")
    assert known
    assert long.text.startswith(known)
    assert len(long.text) > len(known)


async def test_text_completion_is_deterministic_too(frontend):
    body = {"model": frontend.model, "prompt": fresh(), "max_tokens": 24, **GREEDY}
    answers = [(await frontend.http.post(COMPLETIONS, json=body)).json()["choices"][0]["text"] for _ in range(2)]
    assert answers[0]
    assert answers[0] == answers[1]


@pytest.mark.needs(dtype="float32")
async def test_nobody_gets_anothers_text_under_load(frontend):
    prompts = [fresh() for _ in range(8)]
    alone = [(await greedy(frontend, prompt, 12)).text for prompt in prompts]
    together = await asyncio.gather(*(greedy(frontend, prompt, 12) for prompt in prompts))
    assert [answer.text for answer in together] == alone
    assert len(set(alone)) == len(prompts)


async def test_stop_string_ends_the_text_before_itself(frontend):
    prompt = fresh()
    whole = await greedy(frontend, prompt, 48)
    assert whole.finish_reason == "length"
    word, place = piece_of(whole.text)
    stopped = await greedy(frontend, prompt, 48, stop=[word])
    assert stopped.finish_reason == "stop"
    assert stopped.text == whole.text[:place]
    assert stopped.usage["completion_tokens"] < whole.usage["completion_tokens"]


async def test_stop_string_ends_a_stream_at_the_same_place(frontend):
    prompt = fresh()
    word, place = piece_of(whole := (await greedy(frontend, prompt, 48)).text)
    stream = await frontend.stream(**frontend.chat_body(prompt, **GREEDY, max_tokens=48, stop=[word]))
    assert stream.text == whole[:place]
    assert stream.finish_reasons == ["stop"]


async def test_first_of_several_stop_strings_decides(frontend):
    prompt = fresh()
    word, place = piece_of(whole := (await greedy(frontend, prompt, 48)).text)
    stopped = await greedy(frontend, prompt, 48, stop=["never comes", word, "neither does this"])
    assert stopped.text == whole[:place]


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_limit_is_exact_and_is_the_reason(frontend, limit):
    answer = await greedy(frontend, fresh(), limit)
    assert answer.usage["completion_tokens"] == limit
    assert answer.finish_reason == "length"
