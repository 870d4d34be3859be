"""Waiting for a condition."""

import time

import pytest

from deployment.waiting import eventually

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]


class Counter:
    """Reads one more each time."""

    def __init__(self):
        self.value = 0

    async def read(self):
        self.value += 1
        return self.value


async def test_a_condition_that_holds_is_read_once():
    counter = Counter()
    assert await eventually(counter.read, bool, what="anything") == 1
    assert counter.value == 1


async def test_reading_goes_on_until_the_condition_holds():
    assert await eventually(Counter().read, lambda value: value == 5, what="five") == 5


async def test_giving_up_tells_what_was_awaited_and_what_was_last_seen():
    with pytest.raises(AssertionError, match=r"never so: not within 0\.03 s; last seen: \d+"):
        await eventually(Counter().read, lambda value: value < 0, what="never so", within_s=0.03)


async def test_giving_up_takes_little_more_than_the_time_given():
    began = time.monotonic()
    with pytest.raises(AssertionError):
        await eventually(Counter().read, lambda value: value < 0, what="never so", within_s=0.05)
    assert time.monotonic() - began < 1


async def test_trouble_while_reading_is_not_swallowed():
    async def read():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await eventually(read, bool, what="anything")
