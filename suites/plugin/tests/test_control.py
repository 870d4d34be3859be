"""Control of the stack: what is asked over the socket, and what is undone."""

import json
import socket
import threading

import pytest

from testbed_pytest.control import ControlError, StackControl

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]


class Runner:
    """Stands in for the runner: notes requests, answers as told."""

    def __init__(self, path):
        self.requests = []
        self.answer = b'{"ok": true}\n'
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(4)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as lines:
                request = json.loads(lines.readline())
                if request["op"] == "end":
                    return
                self.requests.append((request["op"], request["service"]))
                connection.sendall(self.answer)

    def end(self):
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._listener.getsockname())
            last.sendall(b'{"op": "end"}\n')
            self._thread.join(timeout=5)
        self._listener.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock"


@pytest.fixture
def runner(path):
    runner = Runner(path)
    yield runner
    runner.end()


def test_each_operation_is_asked_by_its_name(runner, path):
    stack = StackControl(str(path))
    for operation in ("stop", "start", "kill", "pause", "unpause"):
        getattr(stack, operation)("worker-1")
    assert [operation for operation, _ in runner.requests] == ["stop", "start", "kill", "pause", "unpause"]


@pytest.mark.parametrize(
    ("done", "undone"),
    [
        (["stop"], ["start"]),
        (["kill"], ["start"]),
        (["pause"], ["unpause"]),
        (["stop", "start"], []),
        (["pause", "kill"], ["start"]),
        ([], []),
    ],
)
def test_restoring_undoes_what_is_left(runner, path, done, undone):
    stack = StackControl(str(path))
    for operation in done:
        getattr(stack, operation)("worker-1")
    assert stack.restore() == (["worker-1"] if undone else [])
    assert [operation for operation, _ in runner.requests] == done + undone
    assert stack.altered == []


def test_several_services_are_restored_each(runner, path):
    stack = StackControl(str(path))
    stack.stop("b")
    stack.pause("a")
    assert stack.restore() == ["a", "b"]
    assert runner.requests[2:] == [("unpause", "a"), ("start", "b")]


def test_a_refusal_tells_its_reason_and_alters_nothing(runner, path):
    runner.answer = b'{"ok": false, "error": "no service `worker-9`"}\n'
    stack = StackControl(str(path))
    with pytest.raises(ControlError, match="cannot stop `worker-9`: no service `worker-9`"):
        stack.stop("worker-9")
    assert stack.altered == []


@pytest.mark.parametrize("answer", [b"", b"yes\n", b"[]\n", b"{}\n"])
def test_an_answer_of_another_shape_is_shown(runner, path, answer):
    runner.answer = answer
    with pytest.raises(ControlError, match="unexpected answer"):
        StackControl(str(path)).stop("worker-1")


def test_a_missing_socket_is_named(path):
    with pytest.raises(ControlError, match=r"cannot stop `worker-1`: .*control\.sock"):
        StackControl(str(path)).stop("worker-1")
