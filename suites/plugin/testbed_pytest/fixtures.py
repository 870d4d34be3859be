"""Fixtures for cases that talk to the stack."""

import json
import os
import time
import urllib.error
import urllib.request
from typing import List

import pytest

from . import control, facts

POLL_S = 0.05


@pytest.fixture(scope="session")
def testbed_profile() -> facts.Profile:
    """The facts of the stack. A case that asks for them fails when there is no stack."""
    try:
        return facts.load(os.environ)
    except facts.FactsError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def frontend_url(testbed_profile) -> str:
    """Base address of the frontend, without a slash at the end."""
    return endpoint(testbed_profile, "frontend")


@pytest.fixture(scope="session")
def nats_url(testbed_profile) -> str:
    """Address of NATS."""
    return endpoint(testbed_profile, "nats")


@pytest.fixture(scope="session")
def etcd_url(testbed_profile) -> str:
    """Address of etcd."""
    return endpoint(testbed_profile, "etcd")


@pytest.fixture(scope="session")
def model_name(testbed_profile) -> str:
    """The model that the stack serves."""
    return testbed_profile.model


@pytest.fixture(scope="session")
def workers(testbed_profile) -> List[facts.Service]:
    """The services that serve the model."""
    return testbed_profile.workers


@pytest.fixture
def stack_control(testbed_profile, frontend_url):
    """Stop and start services; afterwards the stack is made whole, and the fixture waits until it is."""
    path = os.environ.get(control.VARIABLE)
    if not path:
        pytest.skip(f"{control.VARIABLE} is not set: control of the stack is not offered")
    before = serving_instances(frontend_url)
    stack = control.StackControl(path)
    yield stack
    stack.restore()
    wait_until_whole(testbed_profile, frontend_url, before)


def endpoint(profile: facts.Profile, name: str) -> str:
    """Look up an address; skip the case when the stack has no such service."""
    address = profile.endpoints.get(name)
    if not address:
        pytest.skip(f"profile {profile.name} has no {name}")
    return address


def serving_instances(frontend_url: str) -> int:
    """Count the instances that generate, as the frontend knows them."""
    status, document = get_json(f"{frontend_url}/health")
    if status != 200:
        raise control.ControlError(f"the frontend's /health answers {status}")
    return sum(1 for instance in document.get("instances", []) if instance.get("endpoint") == "generate")


def wait_until_whole(profile: facts.Profile, frontend_url: str, instances: int) -> None:
    """Wait until all workers are ready, the frontend knows as many as before, and a chat comes back.

    A restarted worker may take as long as at first.
    """
    deadline = time.monotonic() + profile.ready_s
    while True:
        missing = what_is_missing(profile, frontend_url, instances)
        if missing is None:
            return
        if time.monotonic() >= deadline:
            pytest.fail(f"the stack is not whole again after {profile.ready_s:.0f} s: {missing}", pytrace=False)
        time.sleep(POLL_S)


def what_is_missing(profile: facts.Profile, frontend_url: str, instances: int):
    """Say what keeps the stack from being whole, or nothing."""
    try:
        for worker in profile.workers:
            status, _ = get_json(f"{worker.system_url}/health")
            if status != 200:
                return f"`{worker.name}` answers {status} to /health"
        has = serving_instances(frontend_url)
        if has != instances:
            return f"the frontend knows {has} instances instead of {instances}"
        return chat_failure(frontend_url, profile.model)
    except (OSError, ValueError, control.ControlError) as error:
        return str(error)


def chat_failure(frontend_url: str, model: str):
    """Ask for one token and say what went wrong, or nothing."""
    request = urllib.request.Request(
        f"{frontend_url}/v1/chat/completions",
        data=json.dumps(
            {"model": model, "messages": [{"role": "user", "content": "ready?"}], "max_tokens": 1}
        ).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return f"a chat answers {error.code}"
    return None


def get_json(url: str):
    """GET a JSON document: its status and content."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}
