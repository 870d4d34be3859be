"""Fixtures of the plugin's own tests."""

import pytest

from testbed_pytest import cataloger, control, facts, selection, stream


@pytest.fixture(autouse=True)
def _no_stack(monkeypatch):
    """Keep a stack that happens to be there out of the inner sessions."""
    for variable in (control.VARIABLE, facts.VARIABLE, stream.VARIABLE, selection.VARIABLE, cataloger.VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def run(pytester):
    """Run pytest with the plugin, and without those that would only add warnings of their own."""

    def run(*arguments):
        return pytester.runpytest("-p", "testbed_pytest", "-p", "no:asyncio", "-p", "no:cacheprovider", *arguments)

    return run
