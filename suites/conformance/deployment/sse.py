"""Server-sent events, as a chat completion is streamed."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

DONE = "[DONE]"


@dataclass
class Stream:
    """A streamed answer, collected chunk by chunk."""

    chunks: list[dict] = field(default_factory=list)
    done: int = 0

    @property
    def content_chunks(self) -> list[dict]:
        """Chunks that carry text: one token each with the mocker, while an engine's may be half a character."""
        return [chunk for chunk in self.chunks if any(_text(choice) for choice in chunk["choices"])]

    @property
    def text(self) -> str:
        """All text, in order."""
        return "".join(_text(choice) for chunk in self.chunks for choice in chunk["choices"])

    @property
    def logprobs(self) -> list[dict]:
        """What was thought of each token, where the request asked for it."""
        choices = [choice for chunk in self.chunks for choice in chunk["choices"]]
        return [entry for choice in choices for entry in (choice.get("logprobs") or {}).get("content") or []]

    @property
    def finish_reasons(self) -> list[str]:
        """Reasons for the end, in order; a good stream has one."""
        reasons = [choice.get("finish_reason") for chunk in self.chunks for choice in chunk["choices"]]
        return [reason for reason in reasons if reason]

    @property
    def usages(self) -> list[dict]:
        """Usage blocks, in order; a good stream has one if asked for and none otherwise."""
        return [chunk["usage"] for chunk in self.chunks if chunk.get("usage")]

    def take(self, data: str) -> None:
        """Add the data of one event."""
        if data == DONE:
            self.done += 1
        else:
            self.chunks.append(json.loads(data))


async def read_data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield the data of each event; comments and other fields are left out, as the format wants."""
    data: list[str] = []
    async for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []
    if data:
        yield "\n".join(data)


def _text(choice: dict) -> str:
    return choice.get("text") or choice.get("delta", {}).get("content") or ""
