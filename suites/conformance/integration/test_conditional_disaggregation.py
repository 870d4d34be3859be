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
def busy(frontend, prefill, decode, stack_control, testbed_profile):
    """Freezes the prefill worker with prompts until the router sends no more there, and says how many were sent."""
    tokens = testbed_profile.number("context_window") - 64
    most = 8

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
        before = await decode.handled()
        await asyncio.to_thread(stack_control.pause, prefill.name)
        tasks = []

        async def arrived():
            # One at a time: whose prompt is not counted yet does not keep the next from going there too.
            return await waiting() >= len(tasks) * tokens, await decode.handled() > before

        try:
            while not tasks or not (await arrived())[1]:
                assert len(tasks) < most, f"{len(tasks)} prompts and the prefill worker is not busy"
                tasks.append(asyncio.create_task(wait()))
                # A worker that is frozen for longer than its lease is gone for good.
                await eventually(arrived, any, what="prompt at a worker", within_s=5.0)
            yield len(tasks)
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


def reader(answer):
    """Instance that read the prompt: the decode worker where no other is named."""
    return answer.body["nvext"]["worker_id"].get("prefill_worker_id", answer.decode_worker)


async def test_decode_worker_answers_alone_while_the_prefill_worker_is_busy(frontend, prefill, decode, busy):
    before = await prefill.handled(), await decode.handled()
    async with busy() as waiting:
        answers = [await ask(frontend, fresh()) for _ in range(3)]
        assert {answer.decode_worker for answer in answers} == {await decode.instance()}
        # And what was to wait, as far as it came when enough waited already.
        assert before[1] + 3 <= await decode.handled() <= before[1] + 3 + waiting
    assert await prefill.handled() <= before[0] + waiting


@pytest.mark.needs(engine="real")
async def test_text_is_the_same_whoever_reads_the_prompt(frontend, prefill, decode, busy):
    # Within one KV block, and over several: only whole ones could be reused.
    prompts = [fresh(words) for words in (4, 60, 200)]

    async def texts():
        answers = [await ask(frontend, prompt, temperature=0, max_tokens=40) for prompt in prompts]
        assert {answer.decode_worker for answer in answers} == {await decode.instance()}
        return [answer.text for answer in answers], {reader(answer) for answer in answers}

    disaggregated, readers = await texts()
    assert readers == {await prefill.instance()}
    async with busy():
        aggregated, readers = await texts()
    assert readers == {await decode.instance()}
    assert aggregated == disaggregated
    assert all(disaggregated)
    assert len(set(disaggregated)) == len(prompts)
