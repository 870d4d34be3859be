"""Prompts of a known kind. Assertions on them are on counts: the mocker's text is random."""

import uuid


def fresh(words: int = 8) -> str:
    """Make a prompt that shares no prefix with any other: its first word is unique."""
    unique = uuid.uuid4().hex
    return " ".join([unique, *(f"{unique[:4]}{number}" for number in range(words))])


def long_prefix() -> str:
    """Make a unique prompt of several KV blocks, whatever the engine's block size (at most 64 tokens)."""
    return fresh(words=60)
