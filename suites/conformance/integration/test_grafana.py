"""Grafana over Prometheus: whoever looks sees the dashboard, and may change nothing."""

import httpx
import pytest

from deployment.dashboard import panels
from deployment.frontend import TIMEOUT_S

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.core,
    pytest.mark.needs(grafana=True),
]


@pytest.fixture
async def grafana(testbed_profile):
    """Grafana, as a browser without a login asks it."""
    url = f"http://{testbed_profile.services['grafana'].host}:3000"
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
        yield http


async def test_dashboard_is_there_without_a_login(grafana):
    response = await grafana.get("/api/dashboards/uid/dynamo")
    assert response.status_code == 200, response.text[:500]
    shown = response.json()["dashboard"]["panels"]
    assert [panel["title"] for panel in shown] == [panel["title"] for panel in panels()]


async def test_dashboard_has_figures_of_prometheus(grafana):
    query = {"refId": "A", "datasource": {"uid": "prometheus"}, "expr": "up", "instant": True}
    response = await grafana.post("/api/ds/query", json={"queries": [query], "from": "now-1m", "to": "now"})
    assert response.status_code == 200, response.text[:500]
    assert response.json()["results"]["A"]["frames"]


async def test_nobody_can_change_a_dashboard(grafana):
    response = await grafana.post("/api/dashboards/db", json={"dashboard": {"title": "mine"}})
    assert response.status_code in (401, 403)
