"""Metrics: counters move by exactly what traffic was, and gauges come back."""

import asyncio

import pytest

from deployment.frontend import CHAT
from deployment.prompts import fresh
from deployment.waiting import eventually

pytestmark = [pytest.mark.pre_merge, pytest.mark.e2e, pytest.mark.gpu_0, pytest.mark.frontend]

REQUESTS = "dynamo_frontend_requests_total"


async def moved(frontend, work, name, **labels):
    """By how much a counter moved during some work, which begins when it is called."""
    before = (await frontend.metrics()).total(name, **labels)
    result = await work()
    return (await frontend.metrics()).total(name, **labels) - before, result


async def test_scrape_declares_its_format(frontend):
    response = await frontend.http.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert "# TYPE dynamo_frontend_requests_total counter" in response.text


async def test_each_success_counts_once(frontend):
    async def seven_chats():
        await asyncio.gather(*(frontend.chat(fresh()) for _ in range(7)))

    count, _ = await moved(
        frontend, seven_chats, REQUESTS, model=frontend.model, status="success", request_type="unary"
    )
    assert count == 7


async def test_streams_count_as_streams(frontend):
    count, _ = await moved(frontend, frontend.stream, REQUESTS, status="success", request_type="stream")
    assert count == 1


async def test_text_completions_count_by_their_endpoint(frontend):
    def complete():
        return frontend.http.post("/v1/completions", json={"model": frontend.model, "prompt": "x", "max_tokens": 1})

    count, response = await moved(frontend, complete, REQUESTS, status="success", endpoint="completions")
    assert response.status_code == 200
    assert count == 1


async def test_output_tokens_move_by_the_tokens_produced(frontend):
    def chat():
        return frontend.chat(max_tokens=23)

    count, answer = await moved(frontend, chat, "dynamo_frontend_output_tokens_total")
    assert count == answer.usage["completion_tokens"] == 23


async def test_input_tokens_move_by_the_prompt(frontend):
    def chat():
        return frontend.chat(fresh(30))

    count, answer = await moved(frontend, chat, "dynamo_frontend_input_sequence_tokens_sum", model=frontend.model)
    assert count == answer.usage["prompt_tokens"]


async def test_refused_request_counts_as_an_error_and_not_as_success(frontend):
    before = await frontend.metrics()
    response = await frontend.http.post(CHAT, json=frontend.chat_body(temperature=9))
    assert response.status_code == 400
    after = await frontend.metrics()
    assert after.total(REQUESTS, status="error") - before.total(REQUESTS, status="error") == 1
    assert after.total(REQUESTS, status="success") == before.total(REQUESTS, status="success")


async def test_time_to_first_token_is_observed_once_a_request(frontend):
    name = "dynamo_frontend_time_to_first_token_seconds_count"
    count, _ = await moved(frontend, lambda: frontend.stream(max_tokens=20), name, model=frontend.model)
    assert count == 1


async def test_in_flight_rises_with_open_streams_and_falls_back(frontend):
    async def in_flight():
        return (await frontend.metrics()).total("dynamo_frontend_inflight_requests", model=frontend.model)

    assert await in_flight() == 0
    async with frontend.open_stream(max_tokens=600) as first, frontend.open_stream(max_tokens=600) as second:
        await first.next()
        await second.next()
        assert await in_flight() == 2
        await asyncio.gather(first.rest(), second.rest())
    await eventually(in_flight, lambda count: count == 0, what="nothing in flight")


async def test_served_model_is_marked_ready(frontend):
    assert (await frontend.metrics()).total("dynamo_frontend_model_ready", model=frontend.model) == 1


async def test_workers_count_response_bytes(frontend, fleet):
    async def sent():
        scrapes = [await worker.metrics() for worker in fleet]
        return sum(scrape.total("dynamo_component_response_bytes_total") for scrape in scrapes)

    before = await sent()
    await frontend.chat(max_tokens=50)
    # A token costs at least a byte on the wire.
    assert await sent() - before > 50
