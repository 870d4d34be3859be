"""Reading server-sent events, and what a collected stream says of itself."""

import json

import pytest

from deployment.sse import Stream, read_data

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]


async def lines(text):
    for line in text.split("\n"):
        yield line


async def data_of(text):
    return [data async for data in read_data(lines(text))]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data: one\n\ndata: two\n\n", ["one", "two"]),
        ("data:one\n\n", ["one"]),
        ("data:  one\n\n", [" one"]),
        ("data: a\ndata: b\n\n", ["a\nb"]),
        (": comment\nevent: x\ndata: one\nid: 3\n\n", ["one"]),
        ("event: only\n\n", []),
        ("data: cut off", ["cut off"]),
        ("", []),
    ],
)
async def test_each_event_gives_its_data(text, data):
    assert await data_of(text) == data


def chunk(content=None, reason=None, **fields):
    return json.dumps({"choices": [{"delta": {"content": content}, "finish_reason": reason}], **fields})


def collected(*data):
    stream = Stream()
    for each in data:
        stream.take(each)
    return stream


def test_only_chunks_with_text_are_content():
    text_completion = json.dumps({"choices": [{"text": " w"}]})
    stream = collected(chunk("a"), chunk(""), chunk(None, "length"), text_completion, json.dumps({"choices": []}))
    assert len(stream.content_chunks) == 2


def test_reasons_and_usages_are_kept_in_order():
    usage = json.dumps({"choices": [], "usage": {"total_tokens": 3}})
    stream = collected(chunk("a"), chunk("b", "stop"), usage, chunk("c", "length", usage=None))
    assert stream.finish_reasons == ["stop", "length"]
    assert stream.usages == [{"total_tokens": 3}]


def test_done_is_counted_and_no_chunk():
    stream = collected(chunk("a"), "[DONE]", "[DONE]")
    assert (stream.done, len(stream.chunks)) == (2, 1)


def test_an_event_that_is_no_json_is_an_error():
    with pytest.raises(json.JSONDecodeError):
        collected("nonsense")


def test_text_and_logprobs_are_joined_in_order():
    told = json.dumps({"choices": [{"delta": {"content": "b"}, "logprobs": {"content": [{"token": "b"}]}}]})
    stream = collected(chunk("a"), told, chunk(None, "length"), told)
    assert stream.text == "abb"
    assert stream.logprobs == [{"token": "b"}, {"token": "b"}]
