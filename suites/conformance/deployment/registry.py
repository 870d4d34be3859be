"""The registry in etcd: which instances and models are announced, and on which lease."""

import asyncio
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from etcd3gw.client import Etcd3Client

INSTANCES = "v1/instances/"
MODELS = "v1/mdc/"
TIMEOUT_S = 20


@dataclass(frozen=True)
class Entry:
    """One key."""

    key: str
    document: dict
    lease: int


class Registry:
    """etcd, through its client library, which blocks: each call runs in a thread."""

    def __init__(self, url: str):
        address = urlsplit(url)
        # etcd 3.4 serves its gateway under /v3/; without the path the client asks for a version first.
        self._client = Etcd3Client(
            host=address.hostname, port=address.port, protocol=address.scheme, api_path="/v3/", timeout=TIMEOUT_S
        )

    async def entries(self, prefix: str) -> list[Entry]:
        """Entries whose key begins with the prefix, by key."""
        found = await asyncio.to_thread(self._client.get_prefix, prefix)
        entries = (Entry(_text(data["key"]), json.loads(value), int(data.get("lease", 0))) for value, data in found)
        return sorted(entries, key=lambda entry: entry.key)

    async def generating(self) -> dict[int, Entry]:
        """Entries of the instances that generate, by instance id."""
        entries = await self.entries(INSTANCES)
        return {
            entry.document["instance_id"]: entry for entry in entries if entry.document.get("endpoint") == "generate"
        }

    async def models(self) -> list[Entry]:
        """Model cards: one for each instance that serves a model."""
        return await self.entries(MODELS)

    async def time_to_live(self, lease: int) -> int:
        """Seconds that a lease has left; -1 when it is gone."""
        answer = await asyncio.to_thread(
            self._client.post, self._client.get_url("/kv/lease/timetolive"), json={"ID": lease}
        )
        return int(answer.get("TTL", 0))

    async def announce(self, key: str, document: dict, ttl_s: int):
        """Write an entry on a lease of its own, and return the lease."""
        lease = await asyncio.to_thread(self._client.lease, ttl_s)
        await asyncio.to_thread(self._client.put, key, json.dumps(document), lease)
        return lease

    async def revoke(self, lease) -> None:
        """End a lease and what hangs on it."""
        await asyncio.to_thread(lease.revoke)


def _text(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else key
