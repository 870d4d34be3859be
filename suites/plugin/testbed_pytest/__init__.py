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
``TESTBED_CATALOG``
    Set where the session only collects and is to tell every case with its markers, see `cataloger`.
``TESTBED_SELECTION``
    Path of a JSON file that names the cases that are to be executed, see `selection`.
"""

import os

import pytest

from . import cataloger, markers, narrator, needs, selection
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


# Before pytest-xdist, which decides here whether to distribute.
@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Register the markers and, where a descriptor is offered, the narrator or the cataloger."""
    if cataloger.is_asked(os.environ):
        cataloger.register(config, os.environ)
        markers.register(config)
        return
    markers.register(config)
    selection.register(config, os.environ)
    narrator.register(config, os.environ)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Complete each case's markers, leave out what another stack executes, and keep what a plan names."""
    if cataloger.is_at_work(config):
        yield
        return
    chosen = selection.of(config)
    # Before pytest's own implementation, which evaluates `-m` and must see the completed markers.
    markers.complete(items)
    if chosen is None:
        needs.apply(config, items, os.environ)
    yield
    # After everybody else, so that hooks of the project see the cases as they always do.
    if chosen is not None:
        chosen.apply(config, items)
