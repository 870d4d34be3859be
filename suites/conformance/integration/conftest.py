"""Fixtures of the integration cases."""

import httpx
import pytest

from deployment.frontend import TIMEOUT_S
from deployment.prometheus import PORT, Prometheus
from deployment.registry import Registry


@pytest.fixture
def registry(etcd_url):
    """The registry in etcd."""
    return Registry(etcd_url)


def named(fleet, part):
    """Find the one worker whose name begins so."""
    (worker,) = [worker for worker in fleet if worker.name.startswith(part)]
    return worker


@pytest.fixture
def prefill(fleet):
    """The worker that reads prompts, in a stack of two."""
    return named(fleet, "prefill")


@pytest.fixture
def decode(fleet):
    """The worker that writes answers, in a stack of two."""
    return named(fleet, "decode")


@pytest.fixture
async def prometheus(testbed_profile):
    """Prometheus, in a stack that has one."""
    url = f"http://{testbed_profile.services['prometheus'].host}:{PORT}"
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
        yield Prometheus(http)
