"""Prompts near the context window: the last that fits is answered, and the first that does not is refused."""

import pytest

from deployment.frontend import COMPLETIONS

pytestmark = [
    pytest.mark.post_merge,
    pytest.mark.e2e,
    pytest.mark.gpu_0,
    pytest.mark.frontend,
    pytest.mark.vllm,
    pytest.mark.sglang,
    pytest.mark.trtllm,
    pytest.mark.needs(engine="real"),
]


@pytest.fixture
def window(testbed_profile):
    return testbed_profile.number("context_window")


async def complete(frontend, prompt_tokens, limit=None):
    # Tokens as a prompt, since only they are counted before they are sent. No two prompts begin alike.
    prompt = [300 + (prompt_tokens + place) % 200 for place in range(prompt_tokens)]
    body = {"model": frontend.model, "prompt": prompt, "temperature": 0, "ignore_eos": True}
    return await frontend.http.post(COMPLETIONS, json=body if limit is None else {**body, "max_tokens": limit})


@pytest.mark.parametrize(("room", "limit"), [(1, 1), (64, 64), (700, 20)])
async def test_prompt_that_leaves_room_for_its_answer_is_answered_whole(frontend, window, room, limit):
    response = await complete(frontend, window - room, limit)
    assert response.status_code == 200, response.text[:500]
    document = response.json()
    assert document["usage"]["prompt_tokens"] == window - room
    assert document["usage"]["completion_tokens"] == limit
    assert document["choices"][0]["finish_reason"] == "length"


async def test_answer_without_a_limit_ends_where_the_window_does(frontend, window):
    response = await complete(frontend, window - 10)
    assert response.status_code == 200, response.text[:500]
    document = response.json()
    assert document["usage"]["total_tokens"] == window
    assert document["choices"][0]["finish_reason"] == "length"


# A prompt of exactly the window leaves no room for one token.
@pytest.mark.parametrize("beyond", [0, 1, 500])
async def test_prompt_beyond_the_window_is_a_bad_request(frontend, window, beyond):
    response = await complete(frontend, window + beyond, 1)
    assert_refused(response, window, window + beyond)


async def test_limit_beyond_the_window_is_a_bad_request(frontend, window):
    assert_refused(await complete(frontend, window - 10, 11), window, window + 1)


async def test_refused_prompt_leaves_the_engine_as_it_was(frontend, window):
    before = await frontend.chat("hello", max_tokens=16, temperature=0)
    assert_refused(await complete(frontend, window + 1, 1), window, window + 1)
    after = await frontend.chat("hello", max_tokens=16, temperature=0)
    assert after.text == before.text


def assert_refused(response, window, asked):
    """Refused, with the numbers: what the window holds, and what was asked at least."""
    assert response.status_code == 400, response.text[:500]
    details = response.json()["details"]
    assert details["type"] == "context_length"
    assert details["limit"] == window
    assert asked <= details["actual"] <= asked + 1
