"""Reading Prometheus' text format."""

import pytest

from deployment.metrics import Metrics

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]

TEXT = r"""
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{status="ok",path="/v1/models/{id}"} 3
requests_total{status="error",path="/a,b=\"c\"\\\n"} 2.5 1700000000
requests_total 1e3
vllm:e2e_seconds_bucket{le="+Inf"} 7
temperature -4
not_a_number NaN
"""


@pytest.fixture
def metrics():
    return Metrics.parse(TEXT)


@pytest.mark.parametrize(
    ("name", "labels", "total"),
    [
        ("requests_total", {}, 1005.5),
        ("requests_total", {"status": "ok"}, 3),
        ("requests_total", {"status": "ok", "path": "/elsewhere"}, 0),
        ("vllm:e2e_seconds_bucket", {"le": "+Inf"}, 7),
        ("temperature", {}, -4),
        ("absent", {}, 0),
    ],
)
def test_total_sums_what_matches(metrics, name, labels, total):
    assert metrics.total(name, **labels) == total


def test_labels_may_hold_what_separates_labels(metrics):
    (sample,) = metrics.find("requests_total", status="error")
    assert sample.labels["path"] == '/a,b="c"\\\n'


def test_a_name_does_not_match_its_prefix(metrics):
    assert metrics.find("requests") == []


def test_names_are_those_of_all_samples(metrics):
    assert metrics.names() == {"requests_total", "vllm:e2e_seconds_bucket", "temperature", "not_a_number"}


@pytest.mark.parametrize(
    "line", ["{} 1", "name", "name{a=b} 1", 'name{a="b"', 'name{a="b" "c"} 1', "name one", "<html>"]
)
def test_what_is_no_sample_is_refused(line):
    with pytest.raises(ValueError, match=r"not a|could not convert"):
        Metrics.parse(line)


def test_nothing_is_no_samples():
    assert Metrics.parse("\n# only a comment\n").samples == []
