"""The raw frontend client, against a transport that answers as told."""

import json

import httpx
import pytest

from deployment.frontend import CHAT, Answer, Frontend

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]

WORKERS = {"worker_id": {"prefill_worker_id": 7, "decode_worker_id": 8}}


def frontend(answer):
    """A frontend whose every request is answered by a function."""
    return Frontend(httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://frontend"), "tiny")


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 5}}, 5),
        ({"prompt_tokens_details": {"cached_tokens": 0}}, 0),
        ({"prompt_tokens_details": None}, None),
        ({}, None),
    ],
)
def test_cached_tokens_are_none_where_the_engine_does_not_say(usage, cached):
    assert Answer({"usage": usage}).cached_tokens == cached


def test_an_answer_has_its_text_and_why_it_ends():
    choice = {"message": {"content": "yes"}, "finish_reason": "stop", "logprobs": {"content": [{"token": "yes"}]}}
    answer = Answer({"choices": [choice]})
    assert (answer.text, answer.finish_reason, answer.logprobs) == ("yes", "stop", [{"token": "yes"}])
    assert Answer({"choices": [{"message": {"content": None}}]}).text == ""


@pytest.mark.parametrize(("fields", "told"), [({}, True), ({"stop": ["x"]}, None), ({"ignore_eos": False}, False)])
def test_an_answer_ends_by_itself_only_where_a_stop_string_may_end_it(fields, told):
    body = frontend(lambda _: httpx.Response(500)).chat_body("hi", **fields)
    assert body.get("ignore_eos") is told


def test_an_answer_names_its_workers():
    answer = Answer({"nvext": WORKERS})
    assert (answer.prefill_worker, answer.decode_worker) == (7, 8)


async def test_a_chat_asks_for_its_workers_and_takes_further_fields():
    seen = []

    def answer(request):
        seen.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"usage": {"completion_tokens": 9}})

    await frontend(answer).chat("hi", max_tokens=9, stop=["x"])
    ((path, body),) = seen
    assert path == CHAT
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert (body["model"], body["max_tokens"], body["stop"]) == ("tiny", 9, ["x"])
    assert body["nvext"] == {"extra_fields": ["worker_id"]}


async def test_a_chat_that_is_refused_fails_with_the_answer():
    with pytest.raises(AssertionError, match="503: no worker"):
        await frontend(lambda _: httpx.Response(503, text="no worker")).chat()


async def test_a_stream_is_collected_to_its_end():
    chunk = json.dumps({"choices": [{"delta": {"content": "a"}, "finish_reason": None}]})
    text = f"data: {chunk}\n\ndata: {chunk}\n\ndata: [DONE]\n\n"
    stream = await frontend(lambda _: httpx.Response(200, text=text)).stream()
    assert (len(stream.content_chunks), stream.done) == (2, 1)


async def test_a_stream_that_is_refused_fails_with_the_answer():
    with pytest.raises(AssertionError, match=r"404: .*no model"):
        await frontend(lambda _: httpx.Response(404, text="no model")).stream()


async def test_only_generating_instances_are_instances():
    instances = [{"endpoint": "generate", "instance_id": 1}, {"endpoint": "query", "instance_id": 2}]
    found = await frontend(lambda _: httpx.Response(200, json={"instances": instances})).instances()
    assert [instance["instance_id"] for instance in found] == [1]


async def test_an_unhealthy_frontend_has_no_instances_to_tell():
    with pytest.raises(AssertionError, match="/health answers 500"):
        await frontend(lambda _: httpx.Response(500)).instances()
