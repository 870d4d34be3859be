"""Testbed's pytest plugin: facts of the stack as fixtures, Dynamo's markers, and results as they happen.

Load it with ``-p testbed_pytest``. It needs nothing but the standard library and pytest 7, so that it works in any
image with Python 3.8 or newer.

Environment that it reads, all of it optional:

``TESTBED_FACTS``
    Path of a JSON file that says which stack is there, see `facts`.
``TESTBED_CONTROL``
    Path of a unix socket through which a case may stop and start services of its own stack, see `control`.
``TESTBED_EVENTS_FD``
    Number of an open file descriptor that gets one JSON object a line for everything that happens, see `narrator`.
"""

import os

import pytest

from . import markers, narrator, needs
from .fixtures import (
    etcd_url,
    frontend_url,
    model_name,
    nats_url,
    stack_control,
    testbed_profile,
    workers,
)

__all__ = [
    "etcd_url",
    "frontend_url",
    "model_name",
    "nats_url",
    "stack_control",
    "testbed_profile",
    "workers",
]


def pytest_configure(config):
    """Register the markers and, where a descriptor is offered, the narrator."""
    markers.register(config)
    narrator.register(config, os.environ)


# Before pytest's own implementation, which evaluates `-m` and must see the completed markers.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Complete each case's markers, and leave out what this stack cannot serve or another one does."""
    markers.complete(items)
    needs.apply(config, items, os.environ)
