"""A worker's system server: its health and metrics."""

import httpx

from .metrics import Metrics

GENERATE = {"dynamo_endpoint": "generate"}


class Worker:
    """One worker process of the deployment."""

    def __init__(self, name: str, http: httpx.AsyncClient):
        self.name = name
        self.http = http

    async def metrics(self) -> Metrics:
        """Scrape the metrics."""
        response = await self.http.get("/metrics")
        assert response.status_code == 200, f"{self.name}: /metrics answers {response.status_code}"
        return Metrics.parse(response.text)

    async def handled(self) -> int:
        """Requests that the worker has taken since its start."""
        return int((await self.metrics()).total("dynamo_component_requests_total", **GENERATE))

    async def in_flight(self) -> int:
        """Requests that the worker is working on."""
        return int((await self.metrics()).total("dynamo_component_inflight_requests", **GENERATE))

    async def abandoned(self) -> int:
        """How often the worker noticed that an answer was no longer wanted.

        It learns so by a cancellation or by failing to send, whichever comes first, and counts one or both.
        """
        metrics = await self.metrics()
        failed = metrics.total("dynamo_component_errors_total", **GENERATE, error_type="publish_response")
        return int(metrics.total("dynamo_component_cancellation_total", **GENERATE) + failed)

    async def instance(self) -> int:
        """The worker's own instance id."""
        samples = (await self.metrics()).find("dynamo_component_requests_total", **GENERATE)
        assert len(samples) == 1, f"{self.name} has {len(samples)} generate endpoints"
        return int(samples[0].labels["worker_id"], 16)
