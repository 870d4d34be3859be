"""The KV router: what a worker has in its cache decides where a request goes."""

import asyncio
from collections import Counter

import pytest

from deployment.frontend import CHAT, Answer
from deployment.prompts import fresh, long_prefix
from deployment.waiting import eventually

pytestmark = [
    pytest.mark.pre_merge,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.router,
    pytest.mark.needs(router="kv"),
]

EVENTS = "dynamo_component_kv_cache_events_applied"


async def events_applied(frontend):
    return (await frontend.metrics()).total(EVENTS, event_type="stored", status="ok")


async def teach(frontend, prefix):
    """Send a prefix for the first time, and wait until the router has heard what the worker keeps of it."""
    before = await events_applied(frontend)
    answer = await frontend.chat(f"{prefix} first")
    await eventually(lambda: events_applied(frontend), lambda count: count > before, what="KV event applied")
    return answer


async def registered(frontend):
    """Workers that the router counts on."""
    samples = (await frontend.metrics()).find("dynamo_component_router_worker_registered")
    return {int(sample.labels["router_worker_id"]) for sample in samples if sample.value == 1}


async def test_router_counts_on_every_worker(frontend, fleet):
    # In disaggregated serving Dynamo 1.6.1 goes on showing a prefill worker that has left.
    assert {await worker.instance() for worker in fleet} <= await registered(frontend)


@pytest.mark.needs(control=True, mode="agg", workers_at_least=2)
async def test_prefix_of_a_stopped_worker_moves_to_the_one_that_stays(frontend, fleet, stack_control):
    # Asked by what the router does: now and then Dynamo 1.6.1 goes on showing a worker that has left in its metrics.
    prefix = long_prefix()
    home = (await teach(frontend, prefix)).prefill_worker
    names = {await worker.instance(): worker.name for worker in fleet}
    await asyncio.to_thread(stack_control.stop, names.pop(home))

    async def who_answers():
        # A request that meets the worker while it closes may be turned away.
        body = frontend.chat_body(f"{prefix} again", nvext={"extra_fields": ["worker_id"]})
        response = await frontend.http.post(CHAT, json=body)
        return Answer(response.json()).decode_worker if response.status_code == 200 else response.status_code

    await eventually(who_answers, lambda worker: worker in names, what="another worker has the prefix")
    later = [await frontend.chat(f"{prefix} {number}") for number in range(4)]
    assert {answer.decode_worker for answer in later} <= names.keys()


async def test_kv_events_of_the_workers_reach_the_router(frontend):
    before = await events_applied(frontend)
    await frontend.chat(long_prefix())
    await eventually(lambda: events_applied(frontend), lambda count: count > before, what="KV event applied")


@pytest.mark.parametrize("attempt", range(3))
async def test_repeated_prefix_goes_to_the_worker_that_has_it(frontend, attempt):
    prefix = long_prefix()
    first = await teach(frontend, prefix)
    later = [await frontend.chat(f"{prefix} {attempt} {number}") for number in range(6)]
    assert {answer.prefill_worker for answer in later} == {first.prefill_worker}


async def test_prefixes_are_kept_apart(frontend):
    prefixes = [long_prefix() for _ in range(4)]
    homes = [(await teach(frontend, prefix)).prefill_worker for prefix in prefixes]
    for number in range(3):
        answers = [await frontend.chat(f"{prefix} {number}") for prefix in prefixes]
        assert [answer.prefill_worker for answer in answers] == homes


@pytest.mark.needs(mode="agg", engine_type=("vllm", "trtllm"))
async def test_repeated_prefix_is_served_from_the_cache(frontend):
    prefix = long_prefix()
    first = await teach(frontend, prefix)
    assert first.cached_tokens == 0
    again = await frontend.chat(f"{prefix} again")
    assert again.cached_tokens > again.usage["prompt_tokens"] / 2


@pytest.mark.needs(mode="agg", engine_type=("vllm", "trtllm"))
async def test_fresh_prompt_finds_nothing_in_the_cache(frontend):
    answers = await asyncio.gather(*(frontend.chat(long_prefix()) for _ in range(6)))
    assert [answer.cached_tokens for answer in answers] == [0] * 6


async def test_router_expects_hits_only_for_repeated_prefixes(frontend):
    async def hits():
        # Of the prompt's side only: where decoding is apart, its router looks for no prefix.
        name = "dynamo_component_router_kv_selected_cached_prefix_tokens_total"
        return (await frontend.metrics()).total(name)

    prefix = long_prefix()
    before = await hits()
    prompt_tokens = (await teach(frontend, prefix)).usage["prompt_tokens"]
    # All prompts begin with the same few tokens of the chat template, which count where a block is one token.
    after_first = await hits()
    assert after_first - before < prompt_tokens / 10
    await frontend.chat(f"{prefix} again")
    assert await hits() - after_first > prompt_tokens / 2


@pytest.mark.needs(mode="agg", workers_at_least=2)
async def test_new_prompts_spread_over_all_workers_under_load(frontend, fleet):
    answers = await asyncio.gather(*(frontend.chat(long_prefix(), max_tokens=60) for _ in range(16)))
    shares = Counter(answer.decode_worker for answer in answers)
    assert len(shares) == len(fleet)
    # An even share is 8. The router balances by load, which changes while requests arrive.
    assert min(shares.values()) >= 4


@pytest.mark.needs(mode="agg", workers_at_least=2)
async def test_workers_count_what_the_router_says_it_sent(frontend, fleet):
    before = {await worker.instance(): await worker.handled() for worker in fleet}
    answers = await asyncio.gather(*(frontend.chat(fresh(), max_tokens=20) for _ in range(12)))
    said = Counter(answer.decode_worker for answer in answers)
    after = {await worker.instance(): await worker.handled() for worker in fleet}
    assert {identity: after[identity] - before[identity] for identity in after} == {
        identity: said[identity] for identity in after
    }


@pytest.mark.needs(mode="agg")
async def test_client_can_pin_a_request_to_an_instance(frontend):
    for instance in [each["instance_id"] for each in await frontend.instances()] * 2:
        body = frontend.chat_body(fresh())
        body["nvext"] = {"extra_fields": ["worker_id"], "backend_instance_id": instance}
        response = await frontend.http.post(CHAT, json=body)
        assert response.status_code == 200, response.text
        assert response.json()["nvext"]["worker_id"]["decode_worker_id"] == instance


async def test_pinning_to_an_unknown_instance_is_refused(frontend):
    body = {**frontend.chat_body(), "nvext": {"backend_instance_id": 4711}}
    response = await frontend.http.post(CHAT, json=body)
    assert response.status_code == 400
