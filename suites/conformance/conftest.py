"""Fixtures of the conformance suite: the deployment's parts, each with one client for the whole session."""

import httpx
import pytest

from deployment.frontend import TIMEOUT_S, Frontend
from deployment.worker import Worker


@pytest.fixture(scope="session")
async def frontend(frontend_url, model_name):
    """The frontend, raw."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16)
    async with httpx.AsyncClient(base_url=frontend_url, timeout=TIMEOUT_S, limits=limits, trust_env=False) as http:
        yield Frontend(http, model_name)


@pytest.fixture(scope="session")
def shows(testbed_profile):
    """Whether a stream shows as many tokens as it has.

    Each of a mocker's tokens is text of its own. Of a real engine's some are half a character, and come with the next.
    """
    one_by_one = testbed_profile.fact("engine") != "real"

    def shows(stream, tokens):
        chunks = len(stream.content_chunks)
        return chunks == tokens if one_by_one else chunks <= tokens <= 8 or 0 < chunks <= tokens

    return shows


@pytest.fixture(scope="session")
async def fleet(workers):
    """The workers' system servers, by service name."""
    clients = {
        worker.name: httpx.AsyncClient(base_url=worker.system_url, timeout=TIMEOUT_S, trust_env=False)
        for worker in workers
    }
    yield [Worker(name, http) for name, http in clients.items()]
    for http in clients.values():
        await http.aclose()
