"""The narrator: what a runner hears of a session."""

import json
import os
import time

import pytest

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]


@pytest.fixture
def narrate(pytester, run, monkeypatch, tmp_path):
    """Run pytest on some source and return the events."""

    def narrate(source, *arguments):
        pytester.makepyfile(test_it=source)
        path = tmp_path / "events.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        monkeypatch.setenv("TESTBED_EVENTS_FD", str(descriptor))
        try:
            run(*arguments)
        finally:
            os.close(descriptor)
        return [json.loads(line) for line in path.read_text().splitlines()]

    return narrate


def kinds(events):
    return [event["event"] for event in events]


def finished(events):
    return [event for event in events if event["event"] == "finished"]


def the_end(events):
    (event,) = finished(events)
    return event


def test_a_session_is_told_in_order(narrate):
    before = time.time()
    events = narrate("def test_a(): pass\ndef test_b(): pass\n")
    assert kinds(events) == ["collected", "started", "finished", "started", "finished", "session_finished"]
    assert events[-1]["exit_code"] == 0
    starts = [event["at_us"] for event in events if event["event"] == "started"]
    assert before * 1e6 <= starts[0] <= starts[1] <= time.time() * 1e6
    assert [event["id"] for event in events[1:5]] == ["test_it.py::test_a"] * 2 + ["test_it.py::test_b"] * 2


def test_collected_cases_have_place_and_markers(narrate):
    events = narrate("import pytest\n\n@pytest.mark.unit\n@pytest.mark.premerge\ndef test_a(): pass\n")
    (case,) = events[0]["cases"]
    assert (case["id"], case["file"], case["line"]) == ("test_it.py::test_a", "test_it.py", 3)
    assert case["markers"] == ["gpu_0", "pre_merge", "premerge", "unit"]


def test_deselected_cases_are_counted(narrate):
    events = narrate("def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n", "-k", "test_b")
    assert (len(events[0]["cases"]), events[0]["deselected"]) == (1, 2)


def test_collecting_only_announces_and_ends(narrate):
    events = narrate("def test_a(): pass\n", "--collect-only")
    assert kinds(events) == ["collected", "session_finished"]


def test_a_passed_case_keeps_what_it_printed(narrate):
    end = the_end(
        narrate(
            """
            import logging, sys
            def test_a():
                print("out")
                print("err", file=sys.stderr)
                logging.getLogger().warning("logged")
            """
        )
    )
    assert (end["outcome"], end["phase"], end["attempt"], end["worker"]) == ("passed", "call", 1, "main")
    assert (end["stdout"], end["stderr"]) == ("out\n", "err\n")
    assert "logged" in end["log"]
    assert (end["message"], end["longrepr"], end["reason"]) == (None, None, None)
    assert end["duration_s"] >= 0


def test_a_failure_is_told_in_one_line_and_in_full(narrate):
    end = the_end(narrate("def test_a():\n    x = 3\n    assert x == 4, 'three is not four'\n"))
    assert (end["outcome"], end["phase"]) == ("failed", "call")
    assert end["message"] == "AssertionError: three is not four"
    assert "x = 3" in end["longrepr"]
    assert end["timed_out"] is False


@pytest.mark.parametrize(
    ("source", "outcome", "phase", "message"),
    [
        (
            "import pytest\n@pytest.fixture\ndef f(): raise ValueError('no')\ndef test_a(f): pass\n",
            "error",
            "setup",
            "ValueError: no",
        ),
        (
            "import pytest\n@pytest.fixture\ndef f():\n    yield\n    raise ValueError('no')\ndef test_a(f): pass\n",
            "error",
            "teardown",
            "ValueError: no",
        ),
        ("def test_a(absent): pass\n", "error", "setup", "fixture 'absent' not found"),
        (
            "import pytest\n@pytest.mark.xfail(strict=True, reason='old')\ndef test_a(): pass\n",
            "failed",
            "call",
            "[XPASS(strict)] old",
        ),
        ("def test_a():\n    raise SystemExit(3)\n", "failed", "call", "SystemExit: 3"),
    ],
)
def test_what_went_wrong_says_where(narrate, source, outcome, phase, message):
    end = the_end(narrate(source))
    assert (end["outcome"], end["phase"], end["message"]) == (outcome, phase, message)


def test_a_failure_with_a_failing_teardown_stays_a_failure_and_shows_both(narrate):
    end = the_end(
        narrate(
            """
            import pytest
            @pytest.fixture
            def f():
                yield
                raise ValueError("second")
            def test_a(f):
                assert False, "first"
            """
        )
    )
    assert (end["outcome"], end["message"]) == ("failed", "AssertionError: first")
    assert "second" in end["longrepr"]


@pytest.mark.parametrize(
    ("source", "outcome", "reason"),
    [
        ("import pytest\n@pytest.mark.skip(reason='not now')\ndef test_a(): pass\n", "skipped", "not now"),
        ("import pytest\ndef test_a(): pytest.skip('found out')\n", "skipped", "found out"),
        ("import pytest\n@pytest.mark.xfail(reason='known')\ndef test_a(): assert 0\n", "xfailed", "known"),
        ("import pytest\ndef test_a(): pytest.xfail('gave up')\n", "xfailed", "gave up"),
        ("import pytest\n@pytest.mark.xfail(reason='was bad')\ndef test_a(): pass\n", "xpassed", "was bad"),
    ],
)
def test_what_did_not_count_says_why(narrate, source, outcome, reason):
    end = the_end(narrate(source))
    assert (end["outcome"], end["reason"], end["message"]) == (outcome, reason, None)


def test_a_file_that_cannot_be_collected_is_told_of(narrate):
    events = narrate("import no_such_module\n")
    (error,) = [event for event in events if event["event"] == "collect_error"]
    assert error["file"] == "test_it.py"
    assert error["message"] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert events[-1] == {"event": "session_finished", "exit_code": 2}


def test_a_file_that_skips_itself_is_told_of(narrate):
    events = narrate("import pytest\npytest.skip('not here', allow_module_level=True)\n")
    (skipped,) = [event for event in events if event["event"] == "collect_skipped"]
    assert (skipped["file"], skipped["reason"]) == ("test_it.py", "not here")


def test_a_timeout_is_told_apart_from_a_failure(narrate):
    pytest.importorskip("pytest_timeout")
    end = the_end(narrate("import pytest, time\n@pytest.mark.timeout(2)\ndef test_a():\n    time.sleep(60)\n"))
    assert (end["outcome"], end["timed_out"]) == ("failed", True)


FLAKY = """
import pytest
attempts = []
@pytest.mark.flaky(reruns=2)
def test_a():
    attempts.append(1)
    print("attempt", len(attempts))
    assert len(attempts) == 2
"""


def test_each_attempt_at_a_flaky_case_is_told(narrate):
    pytest.importorskip("pytest_rerunfailures")
    first, second = finished(narrate(FLAKY))
    assert (first["outcome"], first["attempt"], first["message"]) == ("rerun", 1, "assert 1 == 2")
    assert (second["outcome"], second["attempt"], second["message"]) == ("passed", 2, None)
    assert "attempt 2" in second["stdout"]


def test_endless_output_is_cut_in_the_middle(narrate):
    end = the_end(narrate("def test_a():\n    print('begin' + 'x' * 1000000 + 'end')\n"))
    assert end["stdout"].startswith("beginx")
    assert end["stdout"].endswith("xend\n")
    assert "characters left out" in end["stdout"]
    assert len(end["stdout"]) < 210_000


def test_a_distributed_session_is_told_by_its_controller_alone(narrate):
    pytest.importorskip("xdist")
    source = "import pytest\n@pytest.mark.unit\n@pytest.mark.parametrize('n', range(4))\ndef test_a(n): print('n', n)\n"
    events = narrate(source, "-n", "2")
    assert kinds(events).count("collected") == 1
    assert [case["markers"] for case in events[0]["cases"]] == [["gpu_0", "parametrize", "pre_merge", "unit"]] * 4
    ends = finished(events)
    assert sorted(end["id"] for end in ends) == [case["id"] for case in events[0]["cases"]]
    assert {end["worker"] for end in ends} <= {"gw0", "gw1"}
    assert sorted(end["stdout"] for end in ends) == [f"n {n}\n" for n in range(4)]
    assert kinds(events).count("session_finished") == 1


def test_a_worker_that_dies_leaves_an_error_for_its_case(narrate):
    pytest.importorskip("xdist")
    events = narrate("import os\ndef test_a(): os._exit(9)\ndef test_b(): pass\n", "-n", "1")
    ends = {end["id"]: end for end in finished(events)}
    crashed = ends["test_it.py::test_a"]
    assert (crashed["outcome"], crashed["phase"]) == ("error", "crash")
    assert "crashed while running" in crashed["message"]
    assert ends["test_it.py::test_b"]["outcome"] == "passed"


def test_trouble_while_narrating_never_reaches_the_session(pytester, run, monkeypatch, tmp_path):
    from testbed_pytest import narrator

    def explode(self):
        raise RuntimeError("narrator is broken")

    monkeypatch.setattr(narrator.CaseLog, "conclude", explode)
    descriptor = os.open(tmp_path / "events", os.O_WRONLY | os.O_CREAT)
    monkeypatch.setenv("TESTBED_EVENTS_FD", str(descriptor))
    pytester.makepyfile("def test_a(): pass\ndef test_b(): pass\n")
    try:
        run().assert_outcomes(passed=2)
    finally:
        os.close(descriptor)


def test_without_a_descriptor_the_plugin_is_silent(pytester, run):
    pytester.makepyfile("def test_a(request): assert not request.config.pluginmanager.hasplugin('testbed_narrator')\n")
    run().assert_outcomes(passed=1)
