"""Fixtures of the end-to-end cases."""

import openai
import pytest

from deployment.frontend import TIMEOUT_S


@pytest.fixture(scope="session")
async def client(frontend_url):
    """The frontend through OpenAI's client, without retries: a request that fails once has failed."""
    async with openai.AsyncOpenAI(
        base_url=f"{frontend_url}/v1", api_key="unused", max_retries=0, timeout=TIMEOUT_S
    ) as client:
        yield client
