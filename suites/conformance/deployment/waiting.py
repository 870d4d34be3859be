"""Waiting for a condition, never for a time.

The time given is where hope ends, not what is asserted: how busy a machine is must not decide a verdict.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def eventually(
    read: Callable[[], Awaitable[Value]], holds: Callable[[Value], bool], *, what: str, within_s: float = 30.0
) -> Value:
    """Read until the value satisfies the condition, and return it; fail with the last value otherwise."""
    deadline, pause_s = time.monotonic() + within_s, 0.005
    while True:
        value = await read()
        if holds(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s} s; last seen: {value!r}")
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
