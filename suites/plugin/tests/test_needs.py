"""The marker `needs`: when a case is skipped, and with which words."""

import json

import pytest

from testbed_pytest import facts, needs

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]

FACTS = {"router": "kv", "discovery": "etcd", "workers": "2"}
DOCUMENT = {"profile": "mocker", "model": "tiny", "stack_facts": FACTS}
LACKS = "profile mocker does not serve this case: it needs "


@pytest.mark.parametrize(
    ("wanted", "lacks"),
    [
        ({}, []),
        ({"router": "kv"}, []),
        ({"router": ("round-robin", "kv")}, []),
        ({"router": "kv", "discovery": "etcd"}, []),
        ({"workers_at_least": 2}, []),
        ({"control": False}, []),
        ({"router": "round-robin"}, ["router round-robin, has kv"]),
        ({"router": ("random", "direct")}, ["router random or direct, has kv"]),
        ({"plane": "tcp"}, ["plane tcp, has none"]),
        ({"workers_at_least": 3}, ["3 workers, has 2"]),
        ({"gpus_at_least": 1}, ["1 gpus, has none"]),
        ({"router_at_least": 1}, ["1 router, has kv"]),
        ({"control": True}, ["control of the stack, which is not offered"]),
        ({"router": "random", "workers_at_least": 9}, ["router random, has kv", "9 workers, has 2"]),
    ],
)
def test_what_a_stack_lacks_is_named(wanted, lacks):
    assert needs.unmet(wanted, FACTS, has_control=False) == lacks


def test_control_is_met_where_it_is_offered():
    assert needs.unmet({"control": True}, FACTS, has_control=True) == []


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """Tell the inner session of a stack, and of others in the same run."""

    def tell(**others):
        path = tmp_path / "facts.json"
        path.write_text(json.dumps({**DOCUMENT, **others}))
        monkeypatch.setenv(facts.VARIABLE, str(path))

    return tell


SUITE = """
import pytest
pytestmark = pytest.mark.needs(router="kv")
def test_module_need_is_met(): pass
@pytest.mark.needs(router="random")
def test_own_need_overrides_the_module(): pass
@pytest.mark.needs(plane="tcp")
def test_own_need_adds_to_the_module(): pass
"""


def test_unmet_cases_are_skipped_with_the_reason(pytester, run, stack):
    stack()
    pytester.makepyfile(SUITE)
    result = run("-rs")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines([f"*{LACKS}router random, has kv*", f"*{LACKS}plane tcp, has none*"])


@pytest.mark.parametrize(
    ("others", "outcomes"),
    [
        ({"covered_by": []}, {"passed": 1, "skipped": 2}),
        # An earlier stack executes what it serves, whether or not this one serves it too.
        # What neither serves has been skipped there.
        ({"covered_by": [{"router": "kv"}]}, {"deselected": 3}),
        ({"covered_by": [{"router": "random"}]}, {"passed": 1, "deselected": 2}),
        ({"covered_by": [{"router": "kv"}, {"router": "random"}]}, {"deselected": 3}),
        ({"covered_by": [{"router": "kv", "plane": "tcp"}]}, {"deselected": 3}),
        # A later stack executes what it serves and this one does not.
        ({"covered_later": [{"router": "kv"}]}, {"passed": 1, "skipped": 2}),
        ({"covered_later": [{"router": "kv", "plane": "tcp"}]}, {"passed": 1, "skipped": 1, "deselected": 1}),
    ],
)
def test_a_case_is_executed_by_one_stack_of_the_run(pytester, run, stack, others, outcomes):
    stack(**others)
    pytester.makepyfile(SUITE)
    run().assert_outcomes(**outcomes)


def test_a_case_without_needs_is_executed_by_the_first_stack(pytester, run, stack):
    stack(covered_by=[{}])
    pytester.makepyfile("def test_it(): pass\n")
    run().assert_outcomes(deselected=1)


def test_without_facts_a_need_skips_nothing_and_the_fixture_fails(pytester, run):
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.needs(router="kv")
        def test_it(testbed_profile): pass
        """
    )
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TESTBED_FACTS is not set*"])


@pytest.mark.parametrize("arguments", ["", "'kv'"])
def test_a_need_without_a_name_is_a_mistake_in_the_suite(pytester, run, stack, arguments):
    stack()
    pytester.makepyfile(f"import pytest\n@pytest.mark.needs({arguments})\ndef test_it(): pass\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_it: `needs` takes named facts*"])
