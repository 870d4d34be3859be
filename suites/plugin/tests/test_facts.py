"""Facts of the stack: what is read, and what is said when it cannot be."""

import json

import pytest

from testbed_pytest import facts

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]

DOCUMENT = {
    "run_id": "r1",
    "profile": "mocker",
    "model": "tiny",
    "stack_facts": {"router": "kv", "workers": "2", "parallel": True, "block": 64},
    "services": {
        "frontend": {"host": "frontend", "ports": {"http": 8000}},
        "worker-1": {"host": "10.0.0.9", "ports": {"system": 9191}},
        "worker-0": {},
        "etcd": {"host": "etcd"},
    },
    "endpoints": {"frontend": "http://frontend:8000/"},
    "later": {"is": "ignored"},
}


@pytest.fixture
def profile():
    return facts.parse(DOCUMENT, "facts.json")


def test_workers_are_what_is_not_infrastructure_in_order(profile):
    assert [worker.name for worker in profile.workers] == ["worker-0", "worker-1"]


def test_members_of_infrastructure_are_no_workers_whatever_number_they_have():
    names = ["frontend", "nats", "nats-1", "etcd", "etcd-2", "decode-0", "prefill-0", "worker", "etcd-like"]
    document = {**DOCUMENT, "stack_facts": {}, "services": {name: {} for name in names}}
    profile = facts.parse(document, "facts.json")
    assert [worker.name for worker in profile.workers] == ["decode-0", "etcd-like", "prefill-0", "worker"]


def test_a_service_is_at_its_name_and_the_usual_port_unless_said(profile):
    assert [worker.system_url for worker in profile.workers] == ["http://worker-0:9090", "http://10.0.0.9:9191"]


def test_facts_are_text(profile):
    assert profile.stack_facts == {"router": "kv", "workers": "2", "parallel": "true", "block": "64"}


def test_workers_are_counted_where_no_fact_says_how_many():
    document = {**DOCUMENT, "stack_facts": {}}
    assert facts.parse(document, "facts.json").stack_facts == {"workers": "2"}


def test_other_stacks_of_the_run_are_known_by_their_facts():
    document = {**DOCUMENT, "covered_by": [{"router": "kv", "workers": 1}], "covered_later": [{"mode": "disagg"}]}
    profile = facts.parse(document, "facts.json")
    assert profile.covered_by == [{"router": "kv", "workers": "1"}]
    assert profile.covered_later == [{"mode": "disagg"}]


@pytest.mark.parametrize(("told", "seconds"), [({}, 30.0), ({"ready_s": 300}, 300.0)])
def test_a_stack_may_take_as_long_as_it_is_told(told, seconds):
    assert facts.parse({**DOCUMENT, **told}, "facts.json").ready_s == seconds


def test_addresses_end_without_a_slash(profile):
    assert profile.endpoints == {"frontend": "http://frontend:8000"}


def test_numbers_are_read_as_such(profile):
    assert profile.number("workers") == 2


@pytest.mark.parametrize("name", ["router", "absent"])
def test_what_is_no_number_is_named(profile, name):
    with pytest.raises(facts.FactsError, match=f"fact `{name}` of profile `mocker` is .*, not a whole number"):
        profile.number(name)


def test_facts_are_read_from_the_file_that_the_environment_names(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(DOCUMENT))
    assert facts.load({facts.VARIABLE: str(path)}).name == "mocker"


def test_a_missing_variable_says_how_to_get_a_stack():
    with pytest.raises(facts.FactsError, match=r"TESTBED_FACTS is not set.*testbed run"):
        facts.load({})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(facts.FactsError, match=r"cannot read the facts in .*absent\.json"):
        facts.load({facts.VARIABLE: str(tmp_path / "absent.json")})


@pytest.mark.parametrize("text", ["", "{", "\xff"])
def test_a_file_that_is_no_json_is_named(tmp_path, text):
    path = tmp_path / "facts.json"
    path.write_text(text)
    with pytest.raises(facts.FactsError, match="cannot read the facts"):
        facts.load({facts.VARIABLE: str(path)})


@pytest.mark.parametrize(
    "document",
    [[], {}, {"profile": "p", "services": []}, {"profile": "p", "services": {"a": {"ports": {"http": "x"}}}}],
)
def test_a_document_of_another_shape_is_refused(document):
    with pytest.raises(facts.FactsError, match=r"facts\.json"):
        facts.parse(document, "facts.json")
