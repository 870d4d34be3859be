"""Streamed answers: the events themselves, and that their number is what the usage says."""

import pytest

from deployment.frontend import CHAT, COMPLETIONS
from deployment.prompts import fresh

pytestmark = [pytest.mark.pre_merge, pytest.mark.e2e, pytest.mark.gpu_0, pytest.mark.frontend]

WITH_USAGE = {"include_usage": True}


@pytest.mark.parametrize("limit", [1, 2, 33])
async def test_usage_equals_the_number_of_tokens_streamed(frontend, shows, limit):
    stream = await frontend.stream(max_tokens=limit, stream_options=WITH_USAGE)
    (usage,) = stream.usages
    assert usage["completion_tokens"] == limit
    assert shows(stream, limit)


async def test_usage_comes_only_when_asked_for(frontend):
    assert (await frontend.stream()).usages == []


async def test_usage_is_the_last_chunk_and_has_no_choices(frontend):
    stream = await frontend.stream(stream_options=WITH_USAGE)
    assert stream.chunks[-1]["usage"]
    assert stream.chunks[-1]["choices"] == []


async def test_stream_ends_with_one_done_event(frontend):
    assert (await frontend.stream()).done == 1


async def test_stream_is_an_event_stream(frontend):
    async with frontend.open_stream() as stream:
        assert stream.response.headers["content-type"].split(";")[0] == "text/event-stream"
        await stream.rest()


async def test_all_chunks_belong_to_one_completion(frontend):
    stream = await frontend.stream(max_tokens=8)
    assert {chunk["object"] for chunk in stream.chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in stream.chunks}) == 1
    assert {chunk["model"] for chunk in stream.chunks} == {frontend.model}


async def test_first_chunk_names_the_assistant(frontend):
    stream = await frontend.stream()
    assert stream.chunks[0]["choices"][0]["delta"]["role"] == "assistant"


async def test_one_finish_reason_comes_after_all_content(frontend):
    stream = await frontend.stream(max_tokens=8)
    assert stream.finish_reasons == ["length"]
    with_choices = [chunk for chunk in stream.chunks if chunk["choices"]]
    assert with_choices[-1]["choices"][0]["finish_reason"] == "length"


async def test_stop_string_ends_a_stream(frontend):
    stream = await frontend.stream(max_tokens=50, stop=[" w"], stream_options=WITH_USAGE)
    assert stream.finish_reasons == ["stop"]
    assert stream.usages[0]["completion_tokens"] < 50


async def test_streamed_and_whole_answers_count_the_same_prompt(frontend):
    prompt = fresh()
    whole = await frontend.chat(prompt)
    stream = await frontend.stream(**frontend.chat_body(prompt), stream_options=WITH_USAGE)
    assert stream.usages[0]["prompt_tokens"] == whole.usage["prompt_tokens"]


async def test_first_token_arrives_before_the_last(frontend):
    async with frontend.open_stream(max_tokens=400, stream_options=WITH_USAGE) as stream:
        await stream.next()
        mid_stream = (await frontend.metrics()).total("dynamo_frontend_inflight_requests", model=frontend.model)
        collected = await stream.rest()
    assert mid_stream == 1
    assert collected.usages[0]["completion_tokens"] == 400


async def test_openai_client_reads_the_stream(client, model_name, testbed_profile):
    messages = [{"role": "user", "content": "hello"}]
    stream = await client.chat.completions.create(
        model=model_name,
        messages=messages,
        max_tokens=7,
        stream=True,
        stream_options=WITH_USAGE,
        extra_body={"ignore_eos": True},
    )
    chunks = [chunk async for chunk in stream]
    shown = sum(1 for chunk in chunks if chunk.choices and chunk.choices[0].delta.content)
    # A real engine's tokens may be half a character.
    assert shown == 7 or (shown < 7 and testbed_profile.fact("engine") == "real")
    assert chunks[-1].usage.completion_tokens == 7


async def test_text_completion_streams_as_many_tokens_as_it_counts(frontend, shows):
    stream = await frontend.stream(COMPLETIONS, prompt="hello world", max_tokens=6, stream_options=WITH_USAGE)
    assert shows(stream, 6)
    assert stream.usages[0]["completion_tokens"] == 6
    assert stream.done == 1


async def test_refused_stream_is_an_error_and_not_a_stream(frontend):
    body = {**frontend.chat_body(), "model": "no-such-model", "stream": True}
    response = await frontend.http.post(CHAT, json=body)
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("application/json")
