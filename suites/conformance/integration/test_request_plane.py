"""The request plane: NATS carries requests where it is the plane, and none where TCP is."""

import asyncio

import pytest

from deployment.messages import listen
from deployment.prompts import fresh, long_prefix
from deployment.waiting import eventually

pytestmark = [pytest.mark.pre_merge, pytest.mark.integration, pytest.mark.gpu_0, pytest.mark.core]

# Subjects are `<namespace>_<component>.<endpoint>-<instance in hexadecimal>`.
REQUESTS = "dynamo_backend.generate-"


@pytest.mark.needs(request_plane="nats")
async def test_every_request_passes_through_nats_once(frontend, nats_url):
    async with listen(nats_url, "dynamo_backend.>") as tap:
        await asyncio.gather(*(frontend.chat(fresh()) for _ in range(9)))
        await tap.settle()
        assert len(tap.to(REQUESTS)) == 9


@pytest.mark.needs(request_plane="nats")
async def test_request_goes_to_the_subject_of_the_worker_that_answers(frontend, nats_url):
    async with listen(nats_url, "dynamo_backend.>") as tap:
        answers = [await frontend.chat(fresh()) for _ in range(6)]
        await tap.settle()
        subjects = [message.subject for message in tap.to(REQUESTS)]
    assert subjects == [f"{REQUESTS}{answer.decode_worker:x}" for answer in answers]


@pytest.mark.needs(request_plane="nats")
async def test_refused_request_never_reaches_nats(frontend, nats_url):
    async with listen(nats_url, "dynamo_backend.>") as tap:
        response = await frontend.http.post("/v1/chat/completions", json=frontend.chat_body(temperature=9))
        assert response.status_code == 400
        await frontend.chat()
        await tap.settle()
        assert len(tap.to(REQUESTS)) == 1


@pytest.mark.needs(request_plane="nats")
async def test_tokens_do_not_travel_through_nats(frontend, nats_url, testbed_profile):
    async with listen(nats_url, ">") as tap:
        stream = await frontend.stream(max_tokens=200)
        await tap.settle()
        carried = [message for message in tap.messages if not message.subject.startswith("namespace.")]
    assert len(stream.content_chunks) == 200
    # To each worker that takes part the request and its acknowledgement; the answer comes over a connection of its own.
    assert len(carried) <= (4 if testbed_profile.fact("mode") == "disagg" else 2)


@pytest.mark.needs(request_plane="tcp", event_plane="nats")
async def test_no_request_passes_through_nats_when_tcp_is_the_plane(frontend, nats_url):
    async with listen(nats_url, ">") as tap:
        await asyncio.gather(*(frontend.chat(long_prefix()) for _ in range(9)))

        async def events_heard():
            return len(tap.to("namespace."))

        # The events prove that the tap hears what passes.
        await eventually(events_heard, lambda count: count > 0, what="events over NATS")
        await tap.settle()
        assert [message.subject for message in tap.messages if not message.subject.startswith("namespace.")] == []


@pytest.mark.needs(event_plane="nats")
async def test_kv_events_travel_through_nats_when_it_is_the_event_plane(frontend, nats_url):
    async with listen(nats_url, "namespace.>") as tap:
        await frontend.chat(long_prefix())

        async def kv_events():
            return [message for message in tap.messages if message.subject.endswith(".kv-events")]

        await eventually(kv_events, bool, what="a KV event over NATS")


@pytest.mark.needs(request_plane="tcp")
async def test_requests_over_tcp_are_counted_by_the_workers(frontend, fleet, testbed_profile):
    before = sum([await worker.handled() for worker in fleet])
    await asyncio.gather(*(frontend.chat(fresh()) for _ in range(10)))
    passes = 2 if testbed_profile.fact("mode") == "disagg" else 1
    assert sum([await worker.handled() for worker in fleet]) - before == 10 * passes
