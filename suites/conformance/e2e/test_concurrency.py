"""Many clients at once: nobody gets another's answer, and nobody waits for a slow one."""

import asyncio

import pytest

from deployment.prompts import fresh

pytestmark = [pytest.mark.pre_merge, pytest.mark.e2e, pytest.mark.gpu_0, pytest.mark.frontend]

WITH_USAGE = {"include_usage": True}


async def test_each_concurrent_client_gets_the_length_it_asked_for(frontend):
    limits = range(1, 33)
    answers = await asyncio.gather(*(frontend.chat(fresh(), max_tokens=limit) for limit in limits))
    assert [answer.usage["completion_tokens"] for answer in answers] == list(limits)


async def test_concurrent_streams_do_not_mix(frontend, shows):
    limits = range(10, 26)
    streams = await asyncio.gather(*(frontend.stream(max_tokens=limit, stream_options=WITH_USAGE) for limit in limits))
    assert all(shows(stream, limit) for stream, limit in zip(streams, limits, strict=True))
    assert [stream.usages[0]["completion_tokens"] for stream in streams] == list(limits)
    ids = [{chunk["id"] for chunk in stream.chunks} for stream in streams]
    assert all(len(each) == 1 for each in ids)
    assert len(set.union(*ids)) == len(streams)


async def test_streams_and_whole_answers_go_side_by_side(frontend, shows):
    whole = [frontend.chat(fresh(), max_tokens=20) for _ in range(8)]
    streamed = [frontend.stream(max_tokens=20, stream_options=WITH_USAGE) for _ in range(8)]
    answers = await asyncio.gather(*whole, *streamed)
    assert [answer.usage["completion_tokens"] for answer in answers[:8]] == [20] * 8
    assert all(shows(stream, 20) for stream in answers[8:])
    assert [stream.usages[0]["completion_tokens"] for stream in answers[8:]] == [20] * 8


async def test_client_that_does_not_read_delays_nobody(frontend, shows):
    async with frontend.open_stream(max_tokens=500, stream_options=WITH_USAGE) as slow:
        await slow.next()
        answers = await asyncio.gather(*(frontend.chat(fresh()) for _ in range(4)))
        assert [answer.usage["completion_tokens"] for answer in answers] == [4] * 4
        rest = await slow.rest()
    assert shows(rest, 500)
    assert rest.usages[0]["completion_tokens"] == 500


async def test_every_concurrent_request_is_counted_once_by_the_workers(frontend, fleet, testbed_profile):
    before = sum([await worker.handled() for worker in fleet])
    await asyncio.gather(*(frontend.chat(fresh()) for _ in range(24)))
    after = sum([await worker.handled() for worker in fleet])
    passes = 2 if testbed_profile.fact("mode") == "disagg" else 1
    assert after - before == 24 * passes
