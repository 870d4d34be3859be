"""Fixtures: addresses of the stack, and control that leaves it whole."""

import dataclasses
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from testbed_pytest import control, facts, fixtures

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]


class Stack:
    """A frontend and a worker in one small server, with answers that a case can change."""

    def __init__(self):
        self.instances = 1
        self.worker_status = 200
        self.chat_status = 200
        self.chats = 0
        stack = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                endpoints = [{"endpoint": "generate"}] * stack.instances + [{"endpoint": "other"}]
                self.reply(stack.worker_status, {"instances": endpoints})

            def do_POST(self):
                stack.chats += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.reply(stack.chat_status, {})

            def reply(self, status, document):
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        worker = facts.Service("worker-0", "127.0.0.1", {"system": self.port})
        self.profile = facts.Profile("p", "r", "tiny", {}, {"worker-0": worker}, {"frontend": self.url})

    def end(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


@pytest.fixture
def stack():
    stack = Stack()
    yield stack
    stack.end()


def test_only_generating_instances_count(stack):
    stack.instances = 3
    assert fixtures.serving_instances(stack.url) == 3


def test_a_whole_stack_misses_nothing(stack):
    assert fixtures.what_is_missing(stack.profile, stack.url, 1) is None
    assert stack.chats == 1


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"instances": 0}, "the frontend knows 0 instances instead of 1"),
        ({"instances": 2}, "the frontend knows 2 instances instead of 1"),
        ({"worker_status": 503}, "`worker-0` answers 503 to /health"),
        ({"chat_status": 503}, "a chat answers 503"),
    ],
)
def test_what_is_missing_is_named(stack, change, missing):
    vars(stack).update(change)
    assert fixtures.what_is_missing(stack.profile, stack.url, 1) == missing


def test_a_stack_that_cannot_be_reached_is_missing(stack):
    nowhere = "http://127.0.0.1:1"
    profile = facts.Profile("p", "r", "tiny", {}, {}, {})
    assert "refused" in fixtures.what_is_missing(profile, nowhere, 0)


def test_waiting_ends_when_the_stack_is_whole(stack):
    stack.chat_status = 503
    threading.Timer(0.1, vars(stack).update, [{"chat_status": 200}]).start()
    fixtures.wait_until_whole(stack.profile, stack.url, 1)
    assert stack.chats >= 2


def test_waiting_ends_with_what_is_still_missing_when_the_stack_had_its_time(stack):
    stack.instances = 0
    profile = dataclasses.replace(stack.profile, ready_s=0.05)
    with pytest.raises(pytest.fail.Exception, match="not whole again after 0 s: the frontend knows 0 instances"):
        fixtures.wait_until_whole(profile, stack.url, 1)


@pytest.fixture
def with_facts(stack, tmp_path, monkeypatch):
    """Give the inner session the facts of the small stack."""
    path = tmp_path / "facts.json"
    document = {
        "profile": "small",
        "model": "tiny",
        "services": {"worker-0": {"host": "127.0.0.1", "ports": {"system": stack.port}}},
        "endpoints": {"frontend": stack.url},
    }
    path.write_text(json.dumps(document))
    monkeypatch.setenv(facts.VARIABLE, str(path))


@pytest.mark.usefixtures("with_facts")
def test_addresses_come_from_the_facts_and_missing_ones_skip(pytester, run, stack):
    pytester.makepyfile(
        f"""
        def test_frontend(frontend_url): assert frontend_url == {stack.url!r}
        def test_model(model_name): assert model_name == "tiny"
        def test_workers(workers): assert [worker.name for worker in workers] == ["worker-0"]
        def test_nats(nats_url): pass
        def test_etcd(etcd_url): pass
        """
    )
    result = run("-rs")
    result.assert_outcomes(passed=3, skipped=2)
    result.stdout.fnmatch_lines(["*profile small has no nats*", "*profile small has no etcd*"])


@pytest.mark.usefixtures("with_facts")
def test_control_undoes_what_a_failing_case_left(pytester, run, monkeypatch):
    asked = []
    monkeypatch.setenv(control.VARIABLE, "socket")
    monkeypatch.setattr(control.StackControl, "_ask", lambda _, request: asked.append(request["op"]))
    pytester.makepyfile(
        """
        def test_it(stack_control):
            stack_control.stop("worker-0")
            assert False
        """
    )
    run().assert_outcomes(failed=1)
    assert asked == ["stop", "start"]


@pytest.mark.usefixtures("with_facts")
def test_without_control_the_fixture_skips(pytester, run):
    pytester.makepyfile("def test_it(stack_control): pass\n")
    result = run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*control of the stack is not offered*"])
