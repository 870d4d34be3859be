"""Conditional disaggregation: while the prefill worker is busy the decode worker reads prompts by itself."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from deployment.frontend import CHAT, COMPLETIONS, Answer
from deployment.prompts import fresh
from deployment.waiting import eventually

# SGLang's decode worker refuses to prefill, in Dynamo 1.6.1.
pytestmark = [
    pytest.mark.post_merge,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.router,
    pytest.mark.needs(mode="disagg", conditional_disagg=True, engine_type=("vllm", "trtllm"), control=True),
]


@pytest.fixture
def prefill(fleet):
    (worker,) = [worker for worker in fleet if worker.name.startswith("prefill")]
    return worker


@pytest.fixture
def decode(fleet):
    (worker,) = [worker for worker in fleet if worker.name.startswith("decode")]
    return worker


@pytest.fixture
def busy(frontend, prefill, stack_control, testbed_profile):
    """Freezes the prefill worker with more prompts waiting at it than it takes at once, and says how many."""
    tokens = testbed_profile.number("context_window") - 64
    requests = 4

    async def wait():
        # Whether it is answered at last or given up meanwhile is of no interest.
        prompt = [300 + byte % 200 for byte in os.urandom(tokens)]
        body = {"model": frontend.model, "prompt": prompt, "max_tokens": 1, "ignore_eos": True}
        await frontend.http.post(COMPLETIONS, json=body)

    async def waiting():
        name = "dynamo_frontend_worker_active_prefill_tokens"
        return (await frontend.metrics()).total(name, worker_type="prefill")

    @asynccontextmanager
    async def busy():
        await asyncio.to_thread(stack_control.pause, prefill.name)
        tasks = [asyncio.create_task(wait()) for _ in range(requests)]
        try:
            # A worker that is frozen for longer than its lease is gone for good.
            await eventually(waiting, lambda seen: seen >= 3 * tokens, what="prompts at prefill", within_s=5.0)
            yield requests
        finally:
            await asyncio.to_thread(stack_control.unpause, prefill.name)
            await asyncio.gather(*tasks, return_exceptions=True)

    return busy


async def ask(frontend, prompt, **fields):
    """Ask with a cache of the request's own: no worker has blocks of it from an earlier one."""
    nvext = {"extra_fields": ["worker_id"], "cache_salt": fresh(words=0)}
    response = await frontend.http.post(CHAT, json=frontend.chat_body(prompt, nvext=nvext, **fields))
    assert response.status_code == 200, f"{response.status_code}: {response.text[:500]}"
    return Answer(response.json())


async def test_decode_worker_answers_alone_while_the_prefill_worker_is_busy(frontend, prefill, decode, busy):
    before = await prefill.handled(), await decode.handled()
    async with busy() as waiting:
        answers = [await ask(frontend, fresh()) for _ in range(3)]
        assert {answer.decode_worker for answer in answers} == {await decode.instance()}
        # And what was to wait, as far as it came when enough waited already.
        assert before[1] + 3 <= await decode.handled() <= before[1] + 3 + waiting
    assert await prefill.handled() <= before[0] + waiting
