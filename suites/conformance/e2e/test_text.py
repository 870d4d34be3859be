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

# The likeliest token every time.
GREEDY = {"temperature": 0}
# Fixed, so that what is printed can be compared between runs.
TOKENS = 48
NEVER = "this never comes"
PROMPTS = ["hello", "the quick brown fox", "what is the capital of France?"]


async def greedy(frontend, prompt, tokens=32, **fields):
    return await frontend.chat(prompt, max_tokens=tokens, **GREEDY, **fields)


async def with_a_word(frontend):
    """A prompt, its whole answer, a word from the middle of that, and what stands before the word first comes."""
    seen = []
    # What a tiny model says may be one control character over and over.
    for _ in range(10):
        prompt = fresh()
        whole = await frontend.chat(prompt, max_tokens=TOKENS, **GREEDY, stop=[NEVER])
        words = re.findall(r"\w{3,}", whole.text)
        if len(set(words)) > 2:
            word = words[len(words) // 2]
            return prompt, whole, word, whole.text[: whole.text.index(word)]
        seen.append(whole.text)
    raise AssertionError(f"no text has words: {seen}")


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
    body = {"model": frontend.model, "prompt": fresh(), "max_tokens": 24, "ignore_eos": True, **GREEDY}
    answers = [(await frontend.http.post(COMPLETIONS, json=body)).json()["choices"][0]["text"] for _ in range(2)]
    assert answers[0]
    assert answers[0] == answers[1]


@pytest.mark.needs(dtype="float32")
async def test_nobody_gets_anothers_text_under_load(frontend):
    prompts = [fresh() for _ in range(8)]
    alone = [(await greedy(frontend, prompt, 12)).text for prompt in prompts]
    together = await asyncio.gather(*(greedy(frontend, prompt, 12) for prompt in prompts))
    assert [answer.text for answer in together] == alone
    # A tiny model may have the same to say to two of them.
    assert len(set(alone)) > len(prompts) / 2


async def test_stop_string_ends_the_text_before_itself(frontend):
    prompt, whole, word, before = await with_a_word(frontend)
    stopped = await frontend.chat(prompt, max_tokens=TOKENS, **GREEDY, stop=[word])
    assert stopped.finish_reason == "stop"
    assert stopped.text == before
    assert stopped.usage["completion_tokens"] < whole.usage["completion_tokens"]


async def test_stop_string_ends_a_stream_at_the_same_place(frontend):
    prompt, _, word, before = await with_a_word(frontend)
    stream = await frontend.stream(**frontend.chat_body(prompt, **GREEDY, max_tokens=TOKENS, stop=[word]))
    assert stream.text == before
    assert stream.finish_reasons == ["stop"]


async def test_part_of_a_word_stops_within_it(frontend):
    prompt, whole, word, _ = await with_a_word(frontend)
    inner = word[1:]
    stopped = await frontend.chat(prompt, max_tokens=TOKENS, **GREEDY, stop=[inner])
    assert stopped.text == whole.text[: whole.text.index(inner)]


async def test_any_of_several_stop_strings_ends_the_text(frontend):
    prompt, _, word, before = await with_a_word(frontend)
    stopped = await frontend.chat(prompt, max_tokens=TOKENS, **GREEDY, stop=[NEVER, word, f"{NEVER} either"])
    assert (stopped.text, stopped.finish_reason) == (before, "stop")


async def test_several_choices_have_each_their_own_text(frontend):
    answer = await frontend.chat(fresh(), max_tokens=16, n=3, temperature=1, seed=5)
    choices = sorted(answer.body["choices"], key=lambda choice: choice["index"])
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3
    assert answer.usage["completion_tokens"] == 3 * 16


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_limit_is_exact_and_is_the_reason(frontend, limit):
    answer = await greedy(frontend, fresh(), limit)
    assert answer.usage["completion_tokens"] == limit
    assert answer.finish_reason == "length"
