"""Health, as an orchestrator asks for it."""

import pytest

pytestmark = [pytest.mark.pre_merge, pytest.mark.e2e, pytest.mark.gpu_0]


@pytest.mark.frontend
async def test_frontend_is_live(frontend):
    response = await frontend.http.get("/live")
    assert response.status_code == 200
    assert response.json()["status"] == "live"


@pytest.mark.frontend
async def test_frontend_is_healthy_and_names_its_endpoints(frontend):
    response = await frontend.http.get("/health")
    assert response.status_code == 200
    document = response.json()
    assert document["status"] == "healthy"
    assert any(endpoint.endswith(".generate") for endpoint in document["endpoints"])


@pytest.mark.core
async def test_every_worker_is_healthy_and_serves_generate(fleet):
    assert fleet
    for worker in fleet:
        response = await worker.http.get("/health")
        assert response.status_code == 200, worker.name
        document = response.json()
        assert document["status"] == "ready"
        assert document["endpoints"]["generate"] == "ready"


@pytest.mark.core
async def test_every_worker_is_live_and_tells_its_age(fleet):
    for worker in fleet:
        response = await worker.http.get("/live")
        assert response.status_code == 200, worker.name
        uptime = response.json()["uptime"]
        assert uptime["secs"] + uptime["nanos"] / 1e9 > 0


@pytest.mark.frontend
async def test_interface_description_lists_the_routes_in_use(frontend):
    response = await frontend.http.get("/openapi.json")
    assert response.status_code == 200
    paths = response.json()["paths"]
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models", "/health", "/live", "/metrics"} <= set(paths)
