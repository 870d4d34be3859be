"""Control of the own stack: how a case stops a worker, and how the stack is made whole again afterwards.

The runner offers a unix socket, named by ``TESTBED_CONTROL``. One connection carries one request and its answer, each a
JSON object on one line::

    {"op": "stop", "service": "worker-1"}
    {"ok": true}                                   or  {"ok": false, "error": "no service `worker-9`"}

Operations: ``stop`` (terminate, then kill after the grace time), ``kill``, ``start``, ``pause``, ``unpause``. An answer
comes when the operation is done: after ``stop`` the process has ended, after ``start`` it runs, though it may not serve
yet. Only services of the case's own stack can be named.
"""

import json
import socket
from typing import Dict, List

VARIABLE = "TESTBED_CONTROL"
TIMEOUT_S = 30.0
# What puts a service back, by what was done to it last.
UNDO = {"stop": "start", "kill": "start", "pause": "unpause"}
OPERATIONS = ("stop", "kill", "start", "pause", "unpause")


class ControlError(Exception):
    """The runner refused an operation, or could not be asked."""


class StackControl:
    """Stops and starts services, and remembers what is to be undone."""

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S):
        self._path = path
        self._timeout_s = timeout_s
        self._altered: Dict[str, str] = {}

    @property
    def altered(self) -> List[str]:
        """Services that are not as they were found, by name."""
        return sorted(self._altered)

    def stop(self, service: str) -> None:
        """Terminate a service and wait for its end."""
        self._do("stop", service)

    def kill(self, service: str) -> None:
        """Kill a service without warning and wait for its end."""
        self._do("kill", service)

    def start(self, service: str) -> None:
        """Start a service that was stopped, killed or has ended."""
        self._do("start", service)

    def pause(self, service: str) -> None:
        """Freeze a service's processes."""
        self._do("pause", service)

    def unpause(self, service: str) -> None:
        """Let a frozen service go on."""
        self._do("unpause", service)

    def restore(self) -> List[str]:
        """Undo what is not undone yet and return the services that were touched."""
        touched = self.altered
        for service in touched:
            self._do(UNDO[self._altered[service]], service)
        return touched

    def _do(self, operation: str, service: str) -> None:
        self._ask({"op": operation, "service": service})
        if operation in UNDO:
            self._altered[service] = operation
        else:
            self._altered.pop(service, None)

    def _ask(self, request: Dict[str, str]) -> None:
        what = f"{request['op']} `{request['service']}`"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout_s)
                connection.connect(self._path)
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile("rb") as answers:
                    line = answers.readline()
        except OSError as error:
            raise ControlError(f"cannot {what}: {error} (control socket `{self._path}`)") from error
        try:
            answer = json.loads(line)
            done = answer["ok"]
        except (ValueError, KeyError, TypeError):
            raise ControlError(f"cannot {what}: unexpected answer {line!r}") from None
        if done is not True:
            raise ControlError(f"cannot {what}: {answer.get('error', 'no reason given')}")
