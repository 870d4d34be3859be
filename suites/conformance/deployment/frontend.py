"""The frontend, over HTTP without a client library's help: raw enough to send what no library would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from .metrics import Metrics
from .sse import Stream, read_data

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Answer:
    """A whole chat completion."""

    body: dict

    @property
    def usage(self) -> dict:
        """Token counts."""
        return self.body["usage"]

    @property
    def text(self) -> str:
        """What the assistant says."""
        return self.body["choices"][0]["message"].get("content") or ""

    @property
    def finish_reason(self) -> str:
        """Why it says no more."""
        return self.body["choices"][0]["finish_reason"]

    @property
    def logprobs(self) -> list[dict]:
        """What was thought of each token, where the request asked for it."""
        return self.body["choices"][0]["logprobs"]["content"]

    @property
    def cached_tokens(self) -> int | None:
        """Prompt tokens that the worker had in its KV cache; none where the engine does not say."""
        return (self.usage.get("prompt_tokens_details") or {}).get("cached_tokens")

    @property
    def prefill_worker(self) -> int:
        """Instance that worked on the prompt. Only in an answer that was asked for it."""
        return self.body["nvext"]["worker_id"]["prefill_worker_id"]

    @property
    def decode_worker(self) -> int:
        """Instance that produced the answer. Only in an answer that was asked for it."""
        return self.body["nvext"]["worker_id"]["decode_worker_id"]


class OpenStream:
    """A stream that is being read."""

    def __init__(self, response: httpx.Response):
        self.response = response
        self.collected = Stream()
        self._data = read_data(response.aiter_lines())

    async def next(self) -> None:
        """Read one more event."""
        self.collected.take(await anext(self._data))

    async def rest(self) -> Stream:
        """Read to the end."""
        async for data in self._data:
            self.collected.take(data)
        return self.collected


class Frontend:
    """One frontend and the model behind it."""

    def __init__(self, http: httpx.AsyncClient, model: str):
        self.http = http
        self.model = model

    def chat_body(self, content: str = "hello", **fields) -> dict:
        """Make a chat request; fields add to it or replace its own.

        No model ends such an answer by itself, so its length is known. As that would also switch stop strings off, an
        answer that is asked for with one may end as it likes.
        """
        messages = [{"role": "user", "content": content}]
        body = {"model": self.model, "messages": messages, "max_tokens": 4, **fields}
        return body if "stop" in body else {"ignore_eos": True, **body}

    async def chat(self, content: str = "hello", **fields) -> Answer:
        """Chat and expect an answer; it says which workers it came from."""
        body = self.chat_body(content, nvext={"extra_fields": ["worker_id"]}, **fields)
        response = await self.http.post(CHAT, json=body)
        assert response.status_code == 200, f"{response.status_code}: {response.text[:500]}"
        return Answer(response.json())

    @asynccontextmanager
    async def open_stream(self, path: str = CHAT, **fields) -> AsyncIterator[OpenStream]:
        """Open a stream; leaving the context disconnects, wherever the stream is."""
        own = {"model": self.model, "max_tokens": 4, "ignore_eos": True}
        body = self.chat_body(**fields) if path == CHAT else {**own, **fields}
        async with self.http.stream("POST", path, json={**body, "stream": True}) as response:
            assert response.status_code == 200, f"{response.status_code}: {(await response.aread())[:500]!r}"
            yield OpenStream(response)

    async def stream(self, path: str = CHAT, **fields) -> Stream:
        """Stream an answer to its end."""
        async with self.open_stream(path, **fields) as stream:
            return await stream.rest()

    async def metrics(self) -> Metrics:
        """Scrape the metrics."""
        response = await self.http.get("/metrics")
        assert response.status_code == 200
        return Metrics.parse(response.text)

    async def instances(self) -> list[dict]:
        """Instances that generate, as the frontend sees them."""
        response = await self.http.get("/health")
        assert response.status_code == 200, f"/health answers {response.status_code}: {response.text[:500]}"
        return [each for each in response.json()["instances"] if each["endpoint"] == "generate"]
