"""Clients that go away in the middle: the work for them must end, and the worker must be free again."""

import asyncio

import httpx
import pytest

from deployment.frontend import CHAT
from deployment.prompts import fresh
from deployment.waiting import eventually

pytestmark = [pytest.mark.pre_merge, pytest.mark.e2e, pytest.mark.gpu_0, pytest.mark.frontend]

# More than a mocker or a tiny model makes in a second, so that the work is far from done when the client leaves.
LONG = 1900


async def in_flight(fleet):
    return sum([await worker.in_flight() for worker in fleet])


async def abandoned(fleet):
    return sum([await worker.abandoned() for worker in fleet])


async def produced(frontend):
    return (await frontend.metrics()).total("dynamo_frontend_output_tokens_total", model=frontend.model)


async def test_disconnect_in_mid_stream_frees_the_worker(frontend, fleet):
    noticed_before, produced_before = await abandoned(fleet), await produced(frontend)
    async with frontend.open_stream(max_tokens=LONG) as stream:
        for _ in range(3):
            await stream.next()
        assert await in_flight(fleet) == 1
        left_at = await produced(frontend) - produced_before
    await eventually(lambda: in_flight(fleet), lambda count: count == 0, what="worker free")
    await eventually(lambda: abandoned(fleet), lambda count: count > noticed_before, what="worker noticed")
    # Of what was still to be made most never is. How much there was when the client left is the machine's affair.
    assert await produced(frontend) - produced_before - left_at < (LONG - left_at) / 2


async def test_frontend_counts_a_disconnect_as_cancelled(frontend):
    async def cancellations():
        return (await frontend.metrics()).total("dynamo_frontend_requests_total", error_type="cancelled")

    before = await cancellations()
    async with frontend.open_stream(max_tokens=LONG) as stream:
        await stream.next()
    await eventually(cancellations, lambda count: count == before + 1, what="one cancelled request")


async def test_client_that_stops_waiting_for_a_whole_answer_frees_the_worker(frontend, fleet):
    before, produced_before = await abandoned(fleet), await produced(frontend)
    body = frontend.chat_body(fresh(), max_tokens=LONG)
    impatient = asyncio.create_task(frontend.http.post(CHAT, json=body, timeout=httpx.Timeout(10)))
    await eventually(lambda: in_flight(fleet), lambda count: count == 1, what="request at a worker")
    # Of a client that leaves before the worker has begun to answer, Dynamo 1.6.1 now and then does not tell the worker.
    await eventually(lambda: produced(frontend), lambda count: count > produced_before, what="first token")
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await eventually(lambda: in_flight(fleet), lambda count: count == 0, what="worker free")
    await eventually(lambda: abandoned(fleet), lambda count: count > before, what="worker noticed")


async def test_many_disconnects_leave_nothing_in_flight(frontend, fleet):
    async def leave_early():
        async with frontend.open_stream(max_tokens=LONG) as stream:
            await stream.next()

    await asyncio.gather(*(leave_early() for _ in range(16)))
    await eventually(lambda: in_flight(fleet), lambda count: count == 0, what="workers free")
    gauges = await frontend.metrics()
    assert gauges.total("dynamo_frontend_inflight_requests") == 0
    assert (await frontend.chat(max_tokens=3)).usage["completion_tokens"] == 3


async def test_disconnect_of_one_client_leaves_the_others_alone(frontend, shows):
    async def leave_early():
        async with frontend.open_stream(max_tokens=LONG) as stream:
            await stream.next()

    usage = {"include_usage": True}
    stays = asyncio.create_task(frontend.stream(max_tokens=200, stream_options=usage))
    await asyncio.gather(*(leave_early() for _ in range(4)))
    whole = await stays
    assert shows(whole, 200)
    assert whole.usages[0]["completion_tokens"] == 200
