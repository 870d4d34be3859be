"""The dashboard's file: Grafana takes it as it is, so what it would leave out silently is looked for here."""

import itertools
from pathlib import Path

import pytest

from deployment.dashboard import FILE, Query, panels, queries

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]

WIDTH = 24


def test_metrics_of_an_expression_are_found():
    query = Query("p", "l", 'sum by (le) (rate(dynamo_a_bucket{dynamo_x="up_y"}[30s])) / up - etcd_b')
    assert query.metrics == {"dynamo_a_bucket", "up", "etcd_b"}


def test_every_line_says_what_it_shows():
    assert queries()
    for query in queries():
        assert query.metrics, query
        assert query.legend, query
        assert "$" not in query.expression, query


def test_every_panel_is_known_by_its_number_and_its_title():
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers)
    assert all(panel["title"] for panel in panels())
    assert all(panel["description"] for panel in panels() if panel["type"] != "row")


def test_panels_do_not_lie_over_each_other():
    places = [panel["gridPos"] for panel in panels()]
    assert all(place["x"] + place["w"] <= WIDTH for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_panels_ask_the_source_that_grafana_is_given():
    provisioned = Path(FILE).parents[1] / "provisioning/datasources/prometheus.yaml"
    asked = {panel["datasource"]["uid"] for panel in panels() if panel["type"] != "row"}
    assert asked == {"prometheus"}
    assert "uid: prometheus\n" in provisioned.read_text(encoding="utf-8")
