"""Instances: who serves, as the frontend and the workers see it, on any discovery backend."""

import asyncio

import pytest

from deployment.frontend import CHAT, Answer
from deployment.prompts import fresh
from deployment.waiting import eventually

pytestmark = [pytest.mark.pre_merge, pytest.mark.integration, pytest.mark.gpu_0, pytest.mark.core]


async def known_ids(frontend):
    return {instance["instance_id"] for instance in await frontend.instances()}


async def test_frontend_knows_as_many_instances_as_there_are_workers(frontend, testbed_profile):
    assert len(await frontend.instances()) == testbed_profile.number("workers")
    assert len(await known_ids(frontend)) == testbed_profile.number("workers")


async def test_frontend_and_workers_agree_on_who_they_are(frontend, fleet):
    assert {await worker.instance() for worker in fleet} == await known_ids(frontend)


async def test_components_are_those_of_the_mode(frontend, testbed_profile):
    components = sorted(instance["component"] for instance in await frontend.instances())
    expected = {"agg": ["backend"] * testbed_profile.number("workers"), "disagg": ["backend", "prefill"]}
    assert components == expected[testbed_profile.fact("mode")]


async def test_answers_come_from_known_instances(frontend):
    known = await known_ids(frontend)
    answers = await asyncio.gather(*(frontend.chat(fresh()) for _ in range(8)))
    assert {answer.decode_worker for answer in answers} <= known
    assert {answer.prefill_worker for answer in answers} <= known


@pytest.mark.needs(request_plane="tcp")
async def test_advertised_tcp_addresses_accept_connections(frontend):
    addresses = {instance["transport"]["tcp"].split("/")[0] for instance in await frontend.instances()}
    assert len(addresses) == len(await frontend.instances())
    for address in addresses:
        host, port = address.rsplit(":", 1)
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), timeout=20)
        writer.close()
        await writer.wait_closed()


@pytest.mark.needs(request_plane="nats")
async def test_advertised_nats_subjects_carry_the_instance(frontend):
    for instance in await frontend.instances():
        assert instance["transport"]["nats_tcp"].endswith(f"{instance['instance_id']:x}")


@pytest.mark.needs(control=True, mode="agg", workers_at_least=2)
async def test_stopped_worker_vanishes_while_the_other_serves_on(frontend, fleet, stack_control):
    leaving, staying = fleet
    leaving_id, staying_id = await leaving.instance(), await staying.instance()
    enough = asyncio.Event()
    statuses, answering = [], set()

    async def ask_without_pause():
        while not enough.is_set():
            body = frontend.chat_body(fresh(), nvext={"extra_fields": ["worker_id"]})
            async with asyncio.timeout(20):
                response = await frontend.http.post(CHAT, json=body)
            statuses.append(response.status_code)
            if response.status_code == 200:
                answering.add(Answer(response.json()).decode_worker)

    asking = asyncio.create_task(ask_without_pause())
    try:
        await asyncio.to_thread(stack_control.stop, leaving.name)
        await eventually(lambda: known_ids(frontend), lambda ids: ids == {staying_id}, what="stopped worker gone")
    finally:
        enough.set()
        await asking
    # A request that meets the worker while it closes may be turned away, at once and with the status for it.
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > statuses.count(503)
    assert answering <= {leaving_id, staying_id}
    assert {(await frontend.chat(fresh())).decode_worker for _ in range(6)} == {staying_id}


@pytest.mark.needs(control=True, mode="agg", workers_at_least=2)
async def test_restarted_worker_is_a_new_instance_and_gets_work(frontend, fleet, stack_control):
    leaving, staying = fleet
    old_id, staying_id = await leaving.instance(), await staying.instance()
    await asyncio.to_thread(stack_control.stop, leaving.name)
    await asyncio.to_thread(stack_control.start, leaving.name)
    ids = await eventually(
        lambda: known_ids(frontend), lambda ids: len(ids) == 2 and old_id not in ids, what="new instance"
    )
    assert staying_id in ids

    async def who_answers():
        answers = await asyncio.gather(*(frontend.chat(fresh(), max_tokens=40) for _ in range(8)))
        return {answer.decode_worker for answer in answers}

    await eventually(who_answers, lambda answering: answering == ids, what="both workers get work")


@pytest.mark.needs(control=True, mode="agg", workers_at_least=2)
async def test_without_workers_the_model_is_gone_and_requests_fail_at_once(frontend, fleet, stack_control):
    await asyncio.gather(*(asyncio.to_thread(stack_control.stop, worker.name) for worker in fleet))
    await eventually(lambda: known_ids(frontend), lambda ids: not ids, what="no instance left")

    async def models():
        return (await frontend.http.get("/v1/models")).json()["data"]

    await eventually(models, lambda listed: listed == [], what="model no longer listed")
    async with asyncio.timeout(20):
        response = await frontend.http.post(CHAT, json=frontend.chat_body())
    assert response.status_code in (404, 503)
