"""Fixtures of the integration cases."""

import pytest

from deployment.registry import Registry


@pytest.fixture
def registry(etcd_url):
    """The registry in etcd."""
    return Registry(etcd_url)
