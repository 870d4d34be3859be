"""What a worker's metrics say, against a transport that answers as told."""

import httpx
import pytest

from deployment.worker import Worker

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]

METRICS = """
dynamo_component_requests_total{dynamo_endpoint="generate",worker_id="1f"} 5
dynamo_component_requests_total{dynamo_endpoint="query",worker_id="1f"} 90
dynamo_component_inflight_requests{dynamo_endpoint="generate"} 2
dynamo_component_cancellation_total{dynamo_endpoint="generate"} 1
dynamo_component_errors_total{dynamo_endpoint="generate",error_type="publish_response"} 3
dynamo_component_errors_total{dynamo_endpoint="generate",error_type="other"} 40
"""


def worker(response):
    transport = httpx.MockTransport(lambda _: response)
    return Worker("worker-0", httpx.AsyncClient(transport=transport, base_url="http://worker-0"))


async def test_only_generated_requests_count():
    one = worker(httpx.Response(200, text=METRICS))
    assert await one.handled() == 5
    assert await one.in_flight() == 2


async def test_an_answer_is_abandoned_by_cancellation_or_by_failing_to_send():
    assert await worker(httpx.Response(200, text=METRICS)).abandoned() == 4


async def test_the_instance_is_the_hexadecimal_label():
    assert await worker(httpx.Response(200, text=METRICS)).instance() == 0x1F


async def test_a_worker_without_an_endpoint_is_named():
    with pytest.raises(AssertionError, match="worker-0 has 0 generate endpoints"):
        await worker(httpx.Response(200, text="up 1")).instance()


async def test_a_worker_that_does_not_answer_is_named():
    with pytest.raises(AssertionError, match="worker-0: /metrics answers 503"):
        await worker(httpx.Response(503)).metrics()
