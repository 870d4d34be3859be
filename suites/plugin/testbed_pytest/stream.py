"""Where events go: one JSON object a line, written at once, to a file descriptor that the parent process opened."""

import json
import os
import sys
import threading
from typing import Mapping, MutableMapping, Optional

VARIABLE = "TESTBED_EVENTS_FD"


class EventStream:
    """Writes events until the reader goes away; from then on it is silent."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        # Cases may report from several threads, and lines must stay whole.
        self._lock = threading.Lock()
        self._open = True

    def write(self, event: Mapping[str, object]) -> None:
        """Write one event whole. A reader that has gone away is no reason to disturb the session."""
        # ASCII only, so that no lone surrogate in a captured output can fail to encode.
        line = json.dumps(event, ensure_ascii=True, default=str).encode("ascii") + b"\n"
        with self._lock:
            try:
                while line and self._open:
                    line = line[os.write(self._descriptor, line) :]
            except OSError as error:
                self._open = False
                complain(f"events are no longer written: {error}")


def open_stream(environ: MutableMapping[str, str]) -> Optional[EventStream]:
    """Take the descriptor from the environment, so that no process started by a case sees or holds it."""
    value = environ.pop(VARIABLE, None)
    if value is None:
        return None
    try:
        descriptor = int(value)
        os.fstat(descriptor)
        os.set_inheritable(descriptor, False)
    except (ValueError, OSError) as error:
        complain(f"{VARIABLE}={value} is not an open descriptor: {error}")
        return None
    return EventStream(descriptor)


def complain(message: str) -> None:
    """Tell of trouble with the stream on standard error: a warning could fail the session."""
    try:
        sys.__stderr__.write(f"testbed_pytest: {message}\n")
    except (AttributeError, OSError, ValueError):
        # There is no standard error to complain to.
        return
