"""What travels through NATS: a client that listens in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg


class Tap:
    """Messages of one subject pattern, as they come."""

    def __init__(self, client: Client):
        self._client = client
        self.messages: list[Msg] = []

    async def take(self, message: Msg) -> None:
        """Keep a message."""
        self.messages.append(message)

    def to(self, prefix: str) -> list[Msg]:
        """Messages to subjects that begin with the prefix."""
        return [message for message in self.messages if message.subject.startswith(prefix)]

    async def settle(self) -> None:
        """Wait until the server has delivered all that it had when this was called."""
        await self._client.flush(timeout=20)


async def connect(url: str) -> Client:
    """Connect without retries: a server that is not there is a failure now."""
    return await nats.connect(url, allow_reconnect=False, connect_timeout=20, max_reconnect_attempts=0)


@asynccontextmanager
async def listen(url: str, subject: str) -> AsyncIterator[Tap]:
    """Listen to a subject pattern for as long as the context is open."""
    client = await connect(url)
    try:
        tap = Tap(client)
        await client.subscribe(subject, cb=tap.take)
        # The subscription holds once the server has answered after it.
        await client.flush(timeout=20)
        yield tap
    finally:
        await client.close()
