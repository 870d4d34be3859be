"""How a case ended: what pytest reports phase by phase, put together."""

import re
from typing import Dict, List, Optional, Tuple

# Enough for a long traceback or log, little enough for a case that prints without end.
LIMIT = 200_000
TIMED_OUT = re.compile(r"(Failed: )?Timeout \(?>[\d.]+ ?s\)?")
CAPTURED = (("stdout", "capstdout"), ("stderr", "capstderr"), ("log", "caplog"))


class CaseLog:
    """The reports of one case's current attempt."""

    def __init__(self, nodeid: str, location: Tuple[str, Optional[int], str]):
        self._nodeid = nodeid
        self._file = location[0]
        self._line = None if location[1] is None else location[1] + 1
        self._attempt = 1
        self._reports: List[object] = []

    def add(self, report) -> None:
        """Take the report of one phase."""
        self._reports.append(report)

    @property
    def attempt(self) -> int:
        """Which attempt at the case this is, from one."""
        return self._attempt

    @property
    def has_reports(self) -> bool:
        """Whether there is anything to conclude from."""
        return bool(self._reports)

    @property
    def crashed(self) -> bool:
        """Whether the process that executed the case died."""
        return bool(self._reports) and phase(self._reports[-1]) == "crash"

    def begins_next_attempt(self, report) -> bool:
        """Whether `report` belongs to the next attempt already.

        Some versions of pytest-rerunfailures repeat a case without a sign of its start or end in between.
        """
        return report.when == "setup" and any(each.when == "setup" for each in self._reports)

    def place(self) -> Dict[str, object]:
        """Say which case it is and where it is written."""
        return {"id": self._nodeid, "file": self._file, "line": self._line}

    def conclude(self) -> Dict[str, object]:
        """Put the attempt's reports together, and begin the next attempt."""
        reports, self._reports = self._reports, []
        outcome, decisive = decide(reports)
        message = first_line(decisive) if outcome in ("failed", "error", "rerun") else None
        conclusion = {
            **self.place(),
            "outcome": outcome,
            "phase": phase(decisive),
            "attempt": self._attempt,
            "duration_s": round(sum(report.duration for report in reports), 6),
            "timed_out": bool(message and TIMED_OUT.match(message)),
            "message": message,
            "longrepr": accounts(reports) if message else None,
            "reason": reason(outcome, decisive),
            "worker": worker(reports),
        }
        for key, attribute in CAPTURED:
            # Each report holds what was captured up to its phase, so the longest holds all.
            conclusion[key] = shorten(max((getattr(report, attribute) for report in reports), key=len))
        if outcome == "rerun":
            self._attempt += 1
        return conclusion


def decide(reports: List[object]) -> Tuple[str, object]:
    """Find the outcome and the report that decided it."""
    for report in reports:
        if report.outcome == "rerun":
            return "rerun", report
    for report in reports:
        if report.failed:
            return ("failed" if report.when == "call" else "error"), report
    for report in reports:
        if hasattr(report, "wasxfail"):
            return ("xfailed" if report.skipped else "xpassed"), report
    for report in reports:
        if report.skipped:
            return "skipped", report
    for report in reports:
        if report.when == "call":
            return "passed", report
    return "error", reports[-1]


def phase(report) -> str:
    """Name the phase of a report."""
    return report.when if report.when in ("setup", "call", "teardown") else "crash"


def worker(reports: List[object]) -> str:
    """Name the process that executed the case."""
    node = getattr(reports[-1], "node", None)
    return node.gateway.id if node is not None else "main"


def reason(outcome: str, report) -> Optional[str]:
    """Say why a case was skipped or expected to fail."""
    if outcome in ("xfailed", "xpassed"):
        text = report.wasxfail
        return text[len("reason: ") :] if text.startswith("reason: ") else text
    if outcome != "skipped":
        return None
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return text[len("Skipped: ") :] if text.startswith("Skipped: ") else text


def accounts(reports: List[object]) -> str:
    """Join the accounts of all failed phases: a teardown can fail after the call did."""
    texts = [report.longreprtext for report in reports if report.longrepr and not report.skipped]
    return shorten("\n".join(text for text in texts if text))


def first_line(report) -> str:
    """Say in one line what went wrong."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else getattr(report, "longreprtext", str(report.longrepr))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if crash is None:
        # Without a crash entry the account is a traceback; the error is on the lines marked with E.
        lines = [line[2:].strip() for line in lines if line.startswith("E ")] or lines[-1:]
    return lines[0][:2000] if lines else "failed without a message"


def shorten(text: str) -> str:
    """Keep the beginning and the end of a text that is too long."""
    if len(text) <= LIMIT:
        return text
    half = LIMIT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
