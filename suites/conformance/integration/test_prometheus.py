"""Prometheus beside the deployment: it asks every service that has figures, and has what the dashboard names."""

import asyncio

import pytest

from deployment.dashboard import queries
from deployment.prompts import fresh
from deployment.waiting import eventually

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.core,
    pytest.mark.needs(prometheus=True),
]

REQUESTS = "dynamo_frontend_requests_total"
HANDLED = 'dynamo_component_requests_total{dynamo_endpoint="generate"}'

# What a metric needs to be there, where not every stack has it.
NEEDS = {
    "etcd_": {"discovery": "etcd"},
    "dynamo_component_gpu_cache_usage_percent": {"engine": "real"},
    "dynamo_component_router_": {"router": "kv"},
    "dynamo_component_kv_cache_events_applied": {"router": "kv"},
}


def has(profile, metric):
    """Whether a stack should have a metric."""
    needed = (facts for prefix, facts in NEEDS.items() if metric.startswith(prefix))
    return all(profile.fact(name) == value for facts in needed for name, value in facts.items())


async def test_every_service_with_figures_is_up_and_nothing_else_is_asked(prometheus, testbed_profile):
    with_figures = {"frontend", "prometheus", *(worker.name for worker in testbed_profile.workers)}
    members = {name for name in testbed_profile.services if name.split("-")[0] == "etcd"}
    expected = dict.fromkeys(with_figures | members, "up")
    await eventually(prometheus.targets, lambda targets: targets == expected, what="every service is up")


async def test_request_is_counted_as_the_frontend_counts_it(prometheus, frontend):
    def counted():
        return prometheus.total(f'{REQUESTS}{{status="success"}}')

    before = await counted()
    await frontend.chat(fresh())
    own = (await frontend.metrics()).total(REQUESTS, status="success")
    assert own > before
    await eventually(counted, lambda count: count == own, what="the request is counted")


async def test_figures_of_a_worker_carry_its_name(prometheus, frontend, fleet):
    await frontend.chat(fresh())
    own = {worker.name: await worker.handled() for worker in fleet}

    async def counted():
        counts = dict.fromkeys(own, 0)
        for sample in await prometheus.query(HANDLED):
            counts[sample.labels["instance"]] += sample.value
        return counts

    await eventually(counted, lambda counts: counts == own, what="requests of every worker")


@pytest.mark.needs(control=True, workers_at_least=2)
async def test_stopped_worker_is_not_up(prometheus, fleet, stack_control):
    leaving = fleet[-1].name

    async def up():
        return {sample.labels["instance"] for sample in await prometheus.query('up{job="worker"} == 1')}

    await eventually(up, lambda workers: leaving in workers, what="worker up")
    await asyncio.to_thread(stack_control.stop, leaving)
    await eventually(up, lambda workers: leaving not in workers, what="worker not up")


@pytest.mark.parametrize("query", queries(), ids=str)
async def test_dashboard_asks_what_prometheus_understands(prometheus, query):
    await prometheus.query(query.expression)


async def test_dashboard_names_no_metric_that_is_not_there(prometheus, frontend, testbed_profile):
    # Whoever prefills reuses what is there already; a stream has times between its tokens.
    prompt = fresh(60)
    await frontend.chat(prompt)
    await frontend.stream(content=prompt, max_tokens=8)
    wanted = {metric for query in queries() for metric in query.metrics if has(testbed_profile, metric)}

    async def missing():
        return wanted - await prometheus.names()

    await eventually(missing, lambda names: not names, what="metrics of the dashboard")
