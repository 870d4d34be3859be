"""The selection: a session that executes the cases of a plan and no others."""

import json
import os

import pytest

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]

SOURCE = """
import pytest

def test_a(): pass

@pytest.mark.parametrize("x", ["1", "a::b"])
def test_b(x): pass

@pytest.mark.needs(router="kv")
def test_c(): pass
"""


@pytest.fixture
def select(pytester, run, monkeypatch, tmp_path):
    """Run pytest on the source with some cases chosen."""

    def select(text, *arguments):
        pytester.makepyfile(test_it=SOURCE)
        path = tmp_path / "selection.json"
        path.write_text(text)
        monkeypatch.setenv("TESTBED_SELECTION", str(path))
        return run(*arguments)

    return select


def test_exactly_the_chosen_cases_are_executed(select):
    chosen = ["test_it.py::test_b[a::b]", "test_it.py::test_c", "test_it.py::gone"]
    result = select(json.dumps({"cases": chosen}), "-v")
    result.assert_outcomes(passed=2, deselected=2)
    result.stdout.fnmatch_lines(["*test_b?a::b? PASSED*", "*test_c PASSED*"])


def test_a_session_that_a_case_starts_is_not_narrowed(select):
    select(json.dumps({"cases": ["test_it.py::test_a"]}))
    assert "TESTBED_SELECTION" not in os.environ


def test_workers_execute_the_chosen_cases_too(select):
    chosen = ["test_it.py::test_a", "test_it.py::test_c"]
    select(json.dumps({"cases": chosen}), "-n", "2").assert_outcomes(passed=2)


def test_an_empty_selection_executes_nothing(select):
    select(json.dumps({"cases": []})).assert_outcomes(deselected=4)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cases": 1}'])
def test_a_broken_selection_ends_the_session_with_its_reason(select, text):
    result = select(text)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: cannot read the selection in *"])
