"""Exactly the cases that a plan names: the runner decided, and the session executes those and no others.

``TESTBED_SELECTION`` names a JSON file, ``{"cases": ["suites/x/test_a.py::test_b", ...]}``. The variable is taken out
of the environment, so that no session that a case starts is narrowed too; workers of pytest-xdist hear of it from their
controller.
"""

import json
from pathlib import Path
from typing import MutableMapping, Optional, Set

import pytest

VARIABLE = "TESTBED_SELECTION"
PATH_KEY = "testbed_selection"


class Selection:
    """The cases that were chosen for a session."""

    def __init__(self, path: str):
        self._path = path
        self._chosen = load(path)

    def apply(self, config, items) -> None:
        """Leave out what was not chosen."""
        left = [item for item in items if item.nodeid not in self._chosen]
        if left:
            config.hook.pytest_deselected(items=left)
            items[:] = [item for item in items if item.nodeid in self._chosen]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node):
        """Tell a new worker of pytest-xdist what was chosen."""
        node.workerinput[PATH_KEY] = self._path


def register(config, environ: MutableMapping[str, str]) -> None:
    """Take the selection, if this session was given one."""
    path = environ.pop(VARIABLE, None) or getattr(config, "workerinput", {}).get(PATH_KEY)
    if path:
        config.pluginmanager.register(Selection(path), PATH_KEY)


def of(config) -> Optional[Selection]:
    """Return the selection of a session, if it was given one."""
    return config.pluginmanager.get_plugin(PATH_KEY)


def load(path: str) -> Set[str]:
    """Read the ids of the cases that were chosen."""
    try:
        cases = json.loads(Path(path).read_text(encoding="utf-8"))["cases"]
        if not isinstance(cases, list):
            raise TypeError(f"`cases` is {type(cases).__name__}")
        return set(cases)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise pytest.UsageError(f"cannot read the selection in `{path}`: {error!r}") from None
