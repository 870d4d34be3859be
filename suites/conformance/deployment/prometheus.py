"""Prometheus, asked over HTTP as a dashboard asks it."""

import httpx

from .metrics import Sample

PORT = 9090


class Prometheus:
    """One Prometheus, and what it knows of the deployment."""

    def __init__(self, http: httpx.AsyncClient):
        self.http = http

    async def query(self, expression: str) -> list[Sample]:
        """Evaluate an expression now; one that is not valid fails with Prometheus' own words."""
        found = await self._ask("/api/v1/query", query=expression)
        return [_sample(each) for each in found["result"]]

    async def total(self, expression: str) -> float:
        """Sum of what an expression gives."""
        return sum(sample.value for sample in await self.query(expression))

    async def targets(self) -> dict[str, str]:
        """Who is asked for figures, and how that went last: `up`, `down`, or `unknown` before the first time."""
        found = await self._ask("/api/v1/targets", state="active")
        return {target["labels"]["instance"]: target["health"] for target in found["activeTargets"]}

    async def names(self) -> set[str]:
        """Names of all metrics that were ever seen."""
        return set(await self._ask("/api/v1/label/__name__/values"))

    async def _ask(self, path: str, **parameters: str):
        response = await self.http.get(path, params=parameters)
        assert response.status_code == 200, f"{path} answers {response.status_code}: {response.text[:500]}"
        return response.json()["data"]


def _sample(result: dict) -> Sample:
    labels = dict(result["metric"])
    return Sample(labels.pop("__name__", ""), labels, float(result["value"][1]))
