"""Requests that must be refused: with the right status, with a document that says why, and without harm."""

import json

import openai
import pytest

from deployment.frontend import CHAT, COMPLETIONS

pytestmark = [pytest.mark.pre_merge, pytest.mark.e2e, pytest.mark.gpu_0, pytest.mark.frontend]

JSON = {"content-type": "application/json"}
# Who refuses a body unread may close the connection, and the next request must not meet that.
ALONE = {"connection": "close"}

# What is changed in a good chat request; `...` takes the field out.
BAD_FIELDS = {
    "no model": {"model": ...},
    "no messages": {"messages": ...},
    "empty messages": {"messages": []},
    "unknown role": {"messages": [{"role": "nobody", "content": "x"}]},
    "messages as text": {"messages": "hello"},
    "max_tokens zero": {"max_tokens": 0},
    "max_tokens negative": {"max_tokens": -1},
    "max_tokens as text": {"max_tokens": "four"},
    "temperature too high": {"temperature": 2.5},
    "temperature negative": {"temperature": -0.1},
    "top_p above one": {"top_p": 1.5},
    "frequency_penalty too high": {"frequency_penalty": 2.5},
    "top_logprobs too many": {"logprobs": True, "top_logprobs": 21},
    "no choices asked": {"n": 0},
    "unknown field": {"no_such_field": 1},
}


def assert_refused(response, status):
    assert response.status_code == status, response.text[:500]
    document = response.json()
    assert document["code"] == status
    assert document["message"]


@pytest.mark.parametrize("fields", BAD_FIELDS.values(), ids=BAD_FIELDS.keys())
async def test_bad_field_is_a_bad_request(frontend, fields):
    body = {key: value for key, value in {**frontend.chat_body(), **fields}.items() if value is not ...}
    assert_refused(await frontend.http.post(CHAT, json=body), 400)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("content", [b'{"model": "tiny", "mess', b"", b"[]", b"\xff\xfe", b"null"])
async def test_malformed_json_is_a_bad_request(frontend, path, content):
    assert_refused(await frontend.http.post(path, content=content, headers=JSON), 400)


@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {}], ids=["text", "none"])
async def test_wrong_content_type_is_unsupported(frontend, headers):
    content = json.dumps(frontend.chat_body()).encode()
    assert_refused(await frontend.http.post(CHAT, content=content, headers={**headers, **ALONE}), 415)


async def test_unknown_model_is_not_found(frontend):
    assert_refused(await frontend.http.post(CHAT, json={**frontend.chat_body(), "model": "no-such-model"}), 404)


async def test_oversized_body_is_too_large(frontend, testbed_profile):
    limit = testbed_profile.number("body_limit_mb") * 1024 * 1024
    response = await frontend.http.post(CHAT, json=frontend.chat_body("a" * limit), headers=ALONE)
    assert_refused(response, 413)


async def test_body_just_below_the_limit_is_not_refused_for_its_size(frontend, testbed_profile):
    limit = testbed_profile.number("body_limit_mb") * 1024 * 1024
    response = await frontend.http.post(CHAT, json={**frontend.chat_body("a" * (limit - 4096)), "max_tokens": 0})
    # It is read and then refused for what it says.
    assert_refused(response, 400)


async def test_embeddings_of_a_chat_model_are_not_found(client, model_name):
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model=model_name, input="hello")


async def test_reading_where_one_must_write_is_not_allowed(frontend):
    response = await frontend.http.get(CHAT)
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]


async def test_unknown_route_is_not_found(frontend):
    assert_refused(await frontend.http.get("/v1/no-such-route"), 404)


async def test_openai_client_tells_bad_requests_from_missing_models(client, model_name):
    messages = [{"role": "user", "content": "hello"}]
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model=model_name, messages=messages, max_tokens=0)
    assert refused.value.status_code == 400
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="no-such-model", messages=messages, max_tokens=1)


async def test_refusals_reach_no_worker(frontend, fleet):
    before = [await worker.handled() for worker in fleet]
    for fields in ({"temperature": 9}, {"model": "no-such-model"}, {"messages": []}):
        response = await frontend.http.post(CHAT, json={**frontend.chat_body(), **fields})
        assert response.status_code in (400, 404)
    assert [await worker.handled() for worker in fleet] == before
    assert (await frontend.chat()).usage["completion_tokens"] == 4
