"""The narrator: turns pytest's hooks into events for the runner.

=====================  ===============================================================================================
event                  keys beside ``event``
=====================  ===============================================================================================
``collected``          ``cases``: list of ``id``, ``file``, ``line``, ``markers``; ``deselected``: how many
``collect_error``      ``file``, ``message``, ``longrepr``
``collect_skipped``    ``file``, ``reason``: a module that skips itself as a whole
``started``            ``id``, ``file``, ``line``, ``attempt``, ``worker`` (none where cases are distributed),
                       ``at_us``: microseconds since the epoch
``finished``           ``id``, ``outcome``, ``phase``, ``attempt``, ``duration_s``, ``timed_out``, ``message``,
                       ``longrepr``, ``reason``, ``stdout``, ``stderr``, ``log``, ``file``, ``line``, ``worker``
``internal_error``     ``message``
``session_finished``   ``exit_code``
=====================  ===============================================================================================

``outcome`` is passed, failed, skipped, xfailed, xpassed, error or rerun; after rerun the same case finishes again with
the next ``attempt``. ``phase`` is where it was decided: setup, call, teardown, or crash for a process that died.

With pytest-xdist only the controller narrates. Workers leave a description of what they collected in a folder of the
controller's, as the controller itself never sees the cases.
"""

import contextlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Dict, List, MutableMapping, Optional

import pytest

from . import stream
from .outcome import CaseLog, first_line

FOLDER_KEY = "testbed_collection_folder"


def register(config, environ: MutableMapping[str, str]) -> None:
    """Start narrating where a descriptor is offered, and describing in a worker of such a session."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        folder = workerinput.get(FOLDER_KEY)
        if folder:
            config.pluginmanager.register(Describer(folder), "testbed_describer")
        return
    events = stream.open_stream(environ)
    if events is None:
        return
    narrator = Narrator(config, events)
    config.pluginmanager.register(narrator, "testbed_narrator")
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(DistributedNarrator(narrator), "testbed_distributed_narrator")


@contextlib.contextmanager
def harmless():
    """Keep a hook from raising into the session: narration must never decide a result.

    A context and not a decorator, because older versions of pluggy look for a hook's parameters in what a decorator
    returns and find none.
    """
    try:
        yield
    except Exception as error:
        stream.complain(f"an event is lost: {error!r}")


def describe(item) -> Dict[str, object]:
    """Describe a collected case."""
    file, line, _ = item.location
    return {
        "id": item.nodeid,
        "file": file,
        "line": None if line is None else line + 1,
        "markers": sorted({mark.name for mark in item.iter_markers()}),
    }


class Narrator:
    """Narrates a session, distributed or not."""

    def __init__(self, config, events: stream.EventStream):
        self._config = config
        self._events = events
        self._deselected = 0
        self._announced = False
        self._cases: Dict[str, CaseLog] = {}
        self._failed_to_collect = set()

    def announce(self, cases: List[Dict[str, object]]) -> None:
        """Say once what was collected."""
        if not self._announced:
            self._announced = True
            self._events.write({"event": "collected", "cases": cases, "deselected": self._deselected})

    def deselect(self, count: int) -> None:
        """Count cases that an expression left out."""
        self._deselected += count

    def pytest_deselected(self, items):
        """Count what an expression left out."""
        with harmless():
            self.deselect(len(items))

    def pytest_collection_finish(self, session):
        """Announce the cases; in a distributed session there are none here."""
        with harmless():
            if session.items or not distributes(self._config):
                self.announce([describe(item) for item in session.items])

    def pytest_collectreport(self, report):
        """Tell of a file that could not be collected or skips itself."""
        with harmless():
            if report.passed or report.nodeid in self._failed_to_collect:
                return
            self._failed_to_collect.add(report.nodeid)
            longrepr = getattr(report, "longreprtext", str(report.longrepr))
            if report.skipped:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else longrepr
                self._events.write({"event": "collect_skipped", "file": report.nodeid, "reason": bare_reason(reason)})
            else:
                event = {"event": "collect_error", "file": report.nodeid or str(report.fspath)}
                self._events.write({**event, "message": first_line(report), "longrepr": longrepr})

    def pytest_runtest_logstart(self, nodeid, location):
        """Tell that a case begins."""
        with harmless():
            # A case that is repeated starts again; its log knows which attempt this is.
            case = self._cases.setdefault(nodeid, CaseLog(nodeid, location))
            worker = None if distributes(self._config) else "main"
            at = {"at_us": time.time_ns() // 1000}
            self._events.write({"event": "started", "worker": worker, "attempt": case.attempt, **at, **case.place()})

    def pytest_runtest_logreport(self, report):
        """Take a phase's report; after a crash no sign of the case's end will come."""
        with harmless():
            case = self._cases.setdefault(report.nodeid, CaseLog(report.nodeid, report.location))
            if case.begins_next_attempt(report):
                self._finish(case)
            case.add(report)
            if case.crashed:
                self._finish(case)

    def pytest_runtest_logfinish(self, nodeid):
        """Tell how a case ended."""
        with harmless():
            case = self._cases.get(nodeid)
            if case is not None and case.has_reports:
                self._finish(case)

    def pytest_internalerror(self, excrepr):
        """Tell of a bug in pytest or a plugin."""
        with harmless():
            self._events.write({"event": "internal_error", "message": str(excrepr)})

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        """Tell how the session ended, after other plugins had their say about the status."""
        with harmless():
            self._events.write({"event": "session_finished", "exit_code": int(session.exitstatus)})

    def _finish(self, case: CaseLog) -> None:
        self._events.write({"event": "finished", **case.conclude()})


class DistributedNarrator:
    """What only a controller of pytest-xdist hears."""

    def __init__(self, narrator: Narrator):
        self._narrator = narrator
        self._folder: Optional[str] = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node):
        """Tell a new worker where to describe what it collects."""
        with harmless():
            if self._folder is None:
                self._folder = tempfile.mkdtemp(prefix="testbed-collection-")
            node.workerinput[FOLDER_KEY] = self._folder

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node, ids):
        """Announce what a worker collected: all of them collect the same."""
        with harmless():
            path = Path(self._folder or "") / f"{node.gateway.id}.json"
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                cases = [{"id": each, "file": each.split("::")[0], "line": None, "markers": []} for each in ids]
                document = {"cases": cases, "deselected": 0}
            self._narrator.deselect(document["deselected"])
            self._narrator.announce(document["cases"])

    def pytest_unconfigure(self):
        """Remove the workers' descriptions."""
        with harmless():
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)


class Describer:
    """In a worker of pytest-xdist: writes down what was collected."""

    def __init__(self, folder: str):
        self._folder = folder
        self._deselected = 0

    def pytest_deselected(self, items):
        """Count what an expression left out."""
        with harmless():
            self._deselected += len(items)

    def pytest_collection_finish(self, session):
        """Write the description; the controller reads it when this worker says that it has collected."""
        with harmless():
            worker = session.config.workerinput["workerid"]
            document = {"cases": [describe(item) for item in session.items], "deselected": self._deselected}
            (Path(self._folder) / f"{worker}.json").write_text(json.dumps(document), encoding="utf-8")


def distributes(config) -> bool:
    """Say whether pytest-xdist hands the cases to worker processes."""
    return bool(getattr(config.option, "dist", "no") != "no" and getattr(config.option, "tx", None))


def bare_reason(reason: str) -> str:
    """Take pytest's own prefix off a reason for a skip."""
    prefix = "Skipped: "
    return reason[len(prefix) :] if reason.startswith(prefix) else reason
