"""Discovery through files: no registry, and workers and frontend find each other."""

import asyncio

import pytest

from deployment.prompts import fresh
from deployment.waiting import eventually

pytestmark = [
    pytest.mark.pre_merge,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.core,
    pytest.mark.needs(discovery="file"),
]


async def ids(frontend):
    return {instance["instance_id"] for instance in await frontend.instances()}


async def test_instances_are_found_without_a_registry(frontend, testbed_profile):
    assert "etcd" not in testbed_profile.services
    assert "etcd" not in testbed_profile.endpoints
    assert len(await ids(frontend)) == testbed_profile.number("workers")


async def test_found_instances_answer(frontend):
    found = await ids(frontend)
    # All at once: one after another, a router by load may well give all of them to one worker.
    answers = await asyncio.gather(*(frontend.chat(fresh()) for _ in range(8 * len(found))))
    assert {worker for answer in answers for worker in (answer.prefill_worker, answer.decode_worker)} == found


# In disaggregated serving only the worker that decodes serves them.
@pytest.mark.needs(mode="agg")
async def test_model_files_come_from_the_workers(frontend, fleet):
    # The frontend has read the model's card and tokenizer, or it could not count; a worker serves them.
    counted = (await frontend.chat("hello hello")).usage["prompt_tokens"]
    assert counted > (await frontend.chat("hello")).usage["prompt_tokens"]
    path = f"/v1/metadata/dynamo/backend/generate/{frontend.model}/_base/config.json"
    served = [await worker.http.get(path) for worker in fleet]
    assert [response.status_code for response in served] == [200] * len(fleet)
    assert all(response.json()["model_type"] == "llama" for response in served)


@pytest.mark.needs(control=True, workers_at_least=2)
async def test_stopped_worker_takes_its_file_with_it(frontend, fleet, stack_control):
    leaving = fleet[-1]
    identity = await leaving.instance()
    before = await ids(frontend)
    await asyncio.to_thread(stack_control.stop, leaving.name)
    await eventually(lambda: ids(frontend), lambda now: now == before - {identity}, what="file gone")
