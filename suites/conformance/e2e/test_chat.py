"""Whole chat completions: shape, counts and limits."""

import asyncio

import openai
import pytest

from deployment.frontend import CHAT
from deployment.prompts import fresh

pytestmark = [pytest.mark.pre_merge, pytest.mark.e2e, pytest.mark.gpu_0, pytest.mark.frontend]


async def chat(client, model, content="hello", **fields):
    messages = [{"role": "user", "content": content}]
    # Without a stop string no answer ends before its limit.
    extra = {} if "stop" in fields else {"ignore_eos": True}
    return await client.chat.completions.create(
        model=model, messages=messages, extra_body=extra, **{"max_tokens": 4, **fields}
    )


async def test_answer_has_one_choice_from_the_assistant(client, model_name):
    answer = await chat(client, model_name)
    assert answer.object == "chat.completion"
    assert answer.model == model_name
    (choice,) = answer.choices
    assert choice.index == 0
    assert choice.message.role == "assistant"
    assert choice.message.content


@pytest.mark.parametrize("limit", [1, 2, 17, 64])
async def test_max_tokens_bounds_the_answer_exactly(client, model_name, limit):
    answer = await chat(client, model_name, max_tokens=limit)
    assert answer.usage.completion_tokens == limit
    assert answer.choices[0].finish_reason == "length"


async def test_max_completion_tokens_is_the_same_limit(client, model_name):
    messages = [{"role": "user", "content": "hello"}]
    answer = await client.chat.completions.create(
        model=model_name, messages=messages, max_completion_tokens=5, extra_body={"ignore_eos": True}
    )
    assert answer.usage.completion_tokens == 5


async def test_total_is_the_sum_of_prompt_and_completion(client, model_name):
    usage = (await chat(client, model_name, fresh(), max_tokens=9)).usage
    assert usage.prompt_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_equal_prompts_count_equally(client, model_name):
    prompt = fresh()
    first, second = [(await chat(client, model_name, prompt)).usage.prompt_tokens for _ in range(2)]
    assert first == second


async def test_longer_prompts_count_more(client, model_name):
    counts = [(await chat(client, model_name, "word " * words)).usage.prompt_tokens for words in (1, 10, 100)]
    assert counts == sorted(set(counts))
    # Each of the 90 further words is the same, so each costs the same whole number of tokens.
    assert (counts[2] - counts[1]) % 90 == 0


async def test_every_message_of_a_conversation_counts(frontend):
    turns = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "and now"},
    ]
    counts = []
    for length in range(1, len(turns) + 1):
        response = await frontend.http.post(CHAT, json=frontend.chat_body(messages=turns[:length]))
        assert response.status_code == 200, response.text
        counts.append(response.json()["usage"]["prompt_tokens"])
    assert counts == sorted(set(counts))


async def test_ids_are_unique(client, model_name):
    answers = await asyncio.gather(*(chat(client, model_name, max_tokens=1) for _ in range(10)))
    assert len({answer.id for answer in answers}) == 10


async def test_stop_string_ends_the_answer_before_its_limit(client, model_name):
    # Every token that a mocker makes is a space, a `w` and a number in the tiny model's vocabulary.
    answer = await chat(client, model_name, max_tokens=50, stop=[" w"])
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens < 50
    assert " w" not in (answer.choices[0].message.content or "")


async def test_stop_string_that_never_comes_changes_nothing(client, model_name):
    answer = await chat(client, model_name, max_tokens=12, stop=["never"])
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 12


async def test_request_id_of_the_client_comes_back(frontend):
    response = await frontend.http.post(CHAT, json=frontend.chat_body(), headers={"x-request-id": "case-4711"})
    assert response.status_code == 200
    assert response.headers["x-request-id"] == "case-4711"


async def test_responses_interface_counts_as_chat_does(client, model_name):
    response = await client.responses.create(model=model_name, input="hello", max_output_tokens=6)
    assert response.usage.output_tokens == 6
    assert response.usage.total_tokens == response.usage.input_tokens + 6
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_answer_stops_at_the_context_window(client, model_name, testbed_profile):
    window = testbed_profile.number("context_window")
    if testbed_profile.fact("engine") == "real":
        # It says beforehand what cannot be, so the limit is left to it.
        with pytest.raises(openai.BadRequestError):
            await chat(client, model_name, max_tokens=window * 2)
    limit = openai.omit if testbed_profile.fact("engine") == "real" else window * 2
    answer = await chat(client, model_name, "word " * (window // 4), max_tokens=limit)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.total_tokens == window


async def test_prompt_beyond_the_context_window_is_refused_and_nothing_else_suffers(frontend, testbed_profile):
    window = testbed_profile.number("context_window")
    response = await frontend.http.post(CHAT, json=frontend.chat_body("word " * window))
    assert response.status_code >= 400
    assert response.json()["code"] == response.status_code
    assert (await frontend.chat()).usage["completion_tokens"] == 4
