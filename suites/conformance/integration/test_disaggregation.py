"""Disaggregated serving: one worker reads the prompt, another writes the answer."""

import asyncio

import pytest

from deployment.frontend import CHAT
from deployment.prompts import fresh, long_prefix
from deployment.waiting import eventually

pytestmark = [
    pytest.mark.pre_merge,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.router,
    pytest.mark.needs(mode="disagg"),
]


async def readiness(frontend):
    return (await frontend.http.get(f"/v1/models/{frontend.model}/ready")).json()


async def test_every_request_passes_both_workers_once(frontend, prefill, decode):
    before = await prefill.handled(), await decode.handled()
    await asyncio.gather(*(frontend.chat(fresh()) for _ in range(11)))
    assert (await prefill.handled() - before[0], await decode.handled() - before[1]) == (11, 11)


async def test_streams_pass_both_workers_too(frontend, prefill, decode, shows):
    before = await prefill.handled(), await decode.handled()
    stream = await frontend.stream(max_tokens=15)
    assert shows(stream, 15)
    assert (await prefill.handled() - before[0], await decode.handled() - before[1]) == (1, 1)


async def test_answer_names_the_worker_of_each_part(frontend, prefill, decode):
    answer = await frontend.chat(fresh())
    assert answer.prefill_worker == await prefill.instance()
    assert answer.decode_worker == await decode.instance()


async def test_only_the_decode_worker_makes_tokens_after_the_first(frontend, prefill, decode):
    name = "vllm:inter_token_latency_seconds_count"
    before = [(await worker.metrics()).total(name) for worker in (prefill, decode)]
    await frontend.chat(fresh(), max_tokens=30)
    after = [(await worker.metrics()).total(name) for worker in (prefill, decode)]
    assert after[0] == before[0]
    assert after[1] - before[1] == 29


async def test_model_needs_both_kinds_of_worker(frontend):
    document = await readiness(frontend)
    (namespace,) = document["namespaces"].values()
    assert sorted(namespace["present"]) == ["decode", "prefill"]
    assert namespace["worker_types"]["decode"]["needs"] == [["prefill"]]
    assert namespace["worker_types"]["prefill"]["needs"] == [["decode"]]


# vLLM's workers and TensorRT-LLM's tell each other by the request where KV blocks are.
@pytest.mark.needs(discovery="etcd", bootstrap=True)
async def test_prefill_worker_announces_a_bootstrap_port_that_answers(registry, prefill):
    identity = await prefill.instance()
    (card,) = [entry.document for entry in await registry.models() if entry.document["instance_id"] == identity]
    meeting = card["card_json"]["runtime_config"]["disaggregated_endpoint"]
    opening = asyncio.open_connection(meeting["bootstrap_host"], meeting["bootstrap_port"])
    _, writer = await asyncio.wait_for(opening, timeout=20)
    writer.close()
    await writer.wait_closed()


@pytest.mark.needs(router="kv")
async def test_prompts_are_routed_by_the_prefill_workers_cache(frontend):
    async def hits():
        name = "dynamo_component_router_kv_selected_cached_prefix_tokens_total"
        metrics = await frontend.metrics()
        return metrics.total(name, phase="prefill"), metrics.total(name, phase="decode")

    prefix = long_prefix()

    async def ask_again():
        before = await hits()
        await frontend.chat(f"{prefix} again")
        after = await hits()
        return after[0] - before[0], after[1] - before[1]

    await frontend.chat(f"{prefix} first")
    prefill_hits, decode_hits = await eventually(ask_again, lambda hits: hits[0] > 0, what="a hit at prefill")
    assert prefill_hits >= 64
    assert decode_hits == 0


@pytest.mark.needs(control=True)
async def test_without_prefill_the_model_is_not_ready_and_says_what_is_missing(frontend, prefill, stack_control):
    await asyncio.to_thread(stack_control.stop, prefill.name)
    document = await eventually(
        lambda: readiness(frontend), lambda document: not document["ready"], what="model not ready"
    )
    (namespace,) = document["namespaces"].values()
    assert namespace["missing_worker_types"] == ["prefill"]
    async with asyncio.timeout(20):
        response = await frontend.http.post(CHAT, json=frontend.chat_body())
    assert response.status_code == 503
