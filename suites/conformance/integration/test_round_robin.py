"""The round-robin router: workers take turns, whatever is asked."""

import asyncio
from collections import Counter

import pytest

from deployment.prompts import fresh, long_prefix

pytestmark = [
    pytest.mark.pre_merge,
    pytest.mark.integration,
    pytest.mark.gpu_0,
    pytest.mark.router,
    pytest.mark.needs(router="round-robin", mode="agg", workers_at_least=2),
]


async def shares(fleet, work):
    """How many requests each worker took during some work, which begins when it is called."""
    before = [await worker.handled() for worker in fleet]
    await work()
    return [await worker.handled() - count for worker, count in zip(fleet, before, strict=True)]


def is_even(taken, total):
    """Requests that arrive at the same moment may overtake each other between choosing and counting."""
    share = total / len(taken)
    return sum(taken) == total and all(abs(count - share) <= share / 4 for count in taken)


async def test_consecutive_requests_take_turns(frontend, fleet):
    turns = [(await frontend.chat(fresh())).decode_worker for _ in range(3 * len(fleet))]
    assert len(set(turns[: len(fleet)])) == len(fleet)
    assert turns == turns[: len(fleet)] * 3


async def test_sequential_requests_spread_evenly(frontend, fleet):
    async def one_after_another():
        for _ in range(10 * len(fleet)):
            await frontend.chat(fresh(), max_tokens=1)

    assert await shares(fleet, one_after_another) == [10] * len(fleet)


async def test_concurrent_requests_spread_evenly(frontend, fleet):
    async def all_at_once():
        await asyncio.gather(*(frontend.chat(fresh()) for _ in range(20 * len(fleet))))

    assert is_even(await shares(fleet, all_at_once), 20 * len(fleet))


async def test_streams_spread_evenly(frontend, fleet):
    async def one_after_another():
        for _ in range(5 * len(fleet)):
            await frontend.stream(max_tokens=3)

    assert await shares(fleet, one_after_another) == [5] * len(fleet)


async def test_repeated_prefix_is_not_kept_on_one_worker(frontend, fleet):
    prefix = long_prefix()
    answers = [await frontend.chat(f"{prefix} {number}") for number in range(4 * len(fleet))]
    assert set(Counter(answer.decode_worker for answer in answers).values()) == {4}
