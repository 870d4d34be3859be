"""Exactly the cases that a plan names: the runner decided, and the session executes those and no others.

``TESTBED_SELECTION`` names a JSON file, ``{"cases": ["suites/x/test_a.py::test_b", ...]}``.
"""

import json
from pathlib import Path
from typing import Mapping, Optional, Set

import pytest

VARIABLE = "TESTBED_SELECTION"


def load(environ: Mapping[str, str]) -> Optional[Set[str]]:
    """Return the ids of the cases that were chosen; nothing where the session chooses by itself."""
    path = environ.get(VARIABLE)
    if not path:
        return None
    try:
        return set(json.loads(Path(path).read_text(encoding="utf-8"))["cases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise pytest.UsageError(f"cannot read the selection in `{path}`: {error!r}") from None


def apply(config, items, chosen: Set[str]) -> None:
    """Leave out what was not chosen."""
    left = [item for item in items if item.nodeid not in chosen]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item.nodeid in chosen]
