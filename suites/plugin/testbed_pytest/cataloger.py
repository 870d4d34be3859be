"""The cataloger: tells every case of a session that only collects, with all that a selection may ask of it.

It speaks where the runner sets ``TESTBED_CATALOG``, in the same stream as the narrator:

=====================  ===============================================================================================
event                  keys beside ``event``
=====================  ===============================================================================================
``cataloged``          ``cases``: a list of ``id``, ``file``, ``line``, ``marks``, ``keywords``, ``fixtures``, and
                       ``left_out`` where the project's own hooks deselected the case; sent in portions
``sources``            ``cases``: how many were told, ``files`` and ``folders`` of the project that were read,
                       ``imports``: file to project files, ``declared``: marker to its meaning
``collect_error``      as the narrator's
``collect_skipped``    as the narrator's
``session_finished``   as the narrator's
=====================  ===============================================================================================

Markers are told as written, after the project's own hooks: spellings and defaults are completed by the runner, which
knows the project's vocabulary.
"""

import os
import sys
from pathlib import Path
from typing import Dict, List, MutableMapping, Optional, Set

import pytest

from . import imports, markers, stream
from .narrator import Narrator, describe, harmless

VARIABLE = "TESTBED_CATALOG"
NAME = "testbed_cataloger"
PORTION = 500
# Whole numbers beyond this have no place in the JSON that other languages read.
MOST = 2**63 - 1
# What pytest reads for its configuration before any plugin is there to notice.
CONFIGURATIONS = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py", "conftest.py")


def is_asked(environ: MutableMapping[str, str]) -> bool:
    """Say whether this session is there for its catalog alone."""
    return bool(environ.get(VARIABLE))


class Observer:
    """Notices which files the process reads and which folders it lists."""

    def __init__(self):
        self.files: Set[str] = set()
        self.folders: Set[str] = set()

    def __call__(self, event, arguments):
        """Take an audit event; it must not raise, for it would end what the project does."""
        if event == "open":
            path, mode = arguments[0], arguments[1]
            if isinstance(path, (str, bytes)) and (mode is None or "r" in str(mode)):
                self.files.add(os.fsdecode(path))
        elif event in ("os.listdir", "os.scandir"):
            path = arguments[0]
            if isinstance(path, (str, bytes)):
                self.folders.add(os.fsdecode(path))


class Cataloger(Narrator):
    """Collects and tells, and executes nothing."""

    def __init__(self, config, events: stream.EventStream, observer: Observer):
        super().__init__(config, events)
        self._observer = observer
        self._collected: List[pytest.Item] = []
        self._declared_before = set(config.getini("markers"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items):
        """Remember everything that was collected, before anybody takes something away."""
        self._collected = list(items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        """Tell what was collected."""
        with harmless():
            kept = set(session.items)
            for start in range(0, len(self._collected), PORTION):
                portion = self._collected[start : start + PORTION]
                cases = [{**case(item), **({} if item in kept else {"left_out": True})} for item in portion]
                self._events.write({"event": "cataloged", "cases": cases})
            self._events.write({"event": "sources", **self._sources()})

    def _sources(self) -> Dict[str, object]:
        root = Path(str(self._config.rootpath)).resolve()
        files = {relative for path in self._observer.files if (relative := below(root, path))}
        files.update(name for name in CONFIGURATIONS if (root / name).is_file())
        graph = imports.graph(root, sorted(name for name in files if name.endswith(".py")))
        files.update(graph)
        folders = {relative for path in self._observer.folders if (relative := below(root, path)) is not None}
        return {
            "cases": len(self._collected),
            "files": sorted(files),
            "folders": sorted(folders),
            "imports": graph,
            "declared": self._declared(),
        }

    def _declared(self) -> Dict[str, str]:
        own = {f"{signature}: {meaning}" for signature, meaning in markers.MARKERS.items()}
        own.update(f"{spelling}: the same as {today}" for spelling, today in markers.ALIASES.items())
        lines = [line for line in self._config.getini("markers") if line not in own or line in self._declared_before]
        declared = {}
        for line in lines:
            signature, _, meaning = line.partition(":")
            declared[signature.partition("(")[0].strip()] = meaning.strip()
        return declared


def below(root: Path, path: str) -> Optional[str]:
    """Return a path relative to the root; nothing for one that is not below it."""
    try:
        return Path(os.path.realpath(path)).relative_to(root).as_posix()
    except (OSError, ValueError):
        return None


def case(item) -> Dict[str, object]:
    """Describe a case with all that a selection may ask of it."""
    described = describe(item)
    marks = [describe_mark(mark) for mark in item.iter_markers()]
    names = {mark["name"] for mark in marks}
    return {
        "id": described["id"],
        "file": described["file"],
        "line": described["line"],
        "marks": marks,
        "keywords": sorted(keywords(item) - names - {item.name}),
        "fixtures": sorted(set(getattr(item, "fixturenames", ())) - {"request"}),
    }


def describe_mark(mark) -> Dict[str, object]:
    """Describe a marker. The values that a case is repeated for are in its id, and can be of any size."""
    repeats = mark.name == "parametrize"
    named = {key: value for key, value in mark.kwargs.items() if not repeats or isinstance(value, (bool, int, str))}
    return {
        "name": mark.name,
        "args": [] if repeats else [plain(value) for value in mark.args],
        "kwargs": {str(key): plain(value) for key, value in named.items()},
    }


def keywords(item) -> Set[str]:
    """Return the names that ``-k`` looks in, besides markers: those of the item and its parents, and extra ones."""
    names: Set[str] = set()
    for node in item.listchain():
        if isinstance(node, pytest.Session):
            continue
        directory = getattr(pytest, "Directory", None)
        if directory and isinstance(node, directory) and isinstance(node.parent, pytest.Session):
            continue
        names.add(node.name)
    names.update(item.listextrakeywords())
    function = getattr(item, "obj", None)
    names.update(getattr(function, "__dict__", {}) if callable(function) else ())
    return names


def plain(value: object) -> object:
    """Write an argument of a marker as JSON can hold it; what has no such form is told by its text."""
    if isinstance(value, int) and not -MOST <= value <= MOST:
        return str(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(each) for each in value), key=str)
    return getattr(value, "__qualname__", None) or str(value)


def register(config, environ: MutableMapping[str, str]) -> None:
    """Start telling where a descriptor is offered.

    The variable is taken away, so that no session below this one collects. Nothing is distributed: a controller of
    pytest-xdist never sees the cases.
    """
    environ.pop(VARIABLE, None)
    for option, value in (("dist", "no"), ("tx", []), ("numprocesses", None)):
        if hasattr(config.option, option):
            setattr(config.option, option, value)
    events = stream.open_stream(environ)
    if events is not None:
        config.pluginmanager.register(Cataloger(config, events, OBSERVER), NAME)


def is_at_work(config) -> bool:
    """Say whether a session is there for its catalog alone."""
    return config.pluginmanager.hasplugin(NAME)


def observe() -> Observer:
    """Begin to notice what is read. A hook of this kind stays for the whole life of the process."""
    observer = Observer()
    sys.addaudithook(observer)
    return observer


OBSERVER = observe() if is_asked(os.environ) else Observer()
