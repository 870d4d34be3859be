"""Usage: what the deployment counts is what the model's own tokenizer counts."""

import json
import os
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from deployment.frontend import CHAT, COMPLETIONS
from deployment.prompts import fresh, long_prefix
from deployment.sse import Stream, read_data

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

TEXTS = {
    "words": "the quick brown fox jumps over the lazy dog",
    "digits": "0123456789 3.14159 1e-9",
    "other scripts": "Grüße, Ελλάδα, こんにちは, 🙂",
    "spaces": "  two  spaces\n\n\tand a tab ",
    "one letter": "a",
}


@pytest.fixture(scope="module")
def tokenizer(model_name):
    """The tokenizer of the model, from the files that the workers have."""
    folder = os.environ.get("TESTBED_MODELS")
    assert folder, "the stack's models are not mounted for its tests"
    return Tokenizer.from_file(str(Path(folder, model_name, "tokenizer.json")))


async def complete(frontend, prompt, **fields):
    body = {"model": frontend.model, "prompt": prompt, "max_tokens": 4, "temperature": 0, "ignore_eos": True, **fields}
    response = await frontend.http.post(COMPLETIONS, json=body)
    assert response.status_code == 200, response.text[:500]
    return response.json()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_prompt_counts_as_its_tokenizer_counts(frontend, tokenizer, text):
    usage = (await complete(frontend, text))["usage"]
    assert usage["prompt_tokens"] == len(tokenizer.encode(text).ids)


async def test_long_prompt_counts_as_its_tokenizer_counts(frontend, tokenizer):
    prompt = long_prefix()
    usage = (await complete(frontend, prompt))["usage"]
    assert usage["prompt_tokens"] == len(tokenizer.encode(prompt).ids) > 200


async def test_text_and_its_tokens_are_the_same_prompt(frontend, tokenizer):
    prompt = fresh()
    as_text = await complete(frontend, prompt, max_tokens=16)
    as_tokens = await complete(frontend, tokenizer.encode(prompt).ids, max_tokens=16)
    assert as_tokens["usage"]["prompt_tokens"] == as_text["usage"]["prompt_tokens"]
    assert as_tokens["choices"][0]["text"] == as_text["choices"][0]["text"]


async def test_chat_counts_the_tokens_of_its_template(frontend, tokenizer):
    # The frontend tells what it made of the messages; the tokenizer counts that.
    asked = {"annotations": ["formatted_prompt", "token_ids"]}
    body = frontend.chat_body(fresh(), stream=True, stream_options={"include_usage": True}, nvext=asked)
    response = await frontend.http.post(CHAT, json=body)
    assert response.status_code == 200, response.text[:500]
    told = annotations(response.text.split("\n"))
    ids = tokenizer.encode(told["formatted_prompt"], add_special_tokens=False).ids
    assert ids == json.loads(told["token_ids"])
    stream = Stream()
    async for data in read_data(each(response.text.split("\n"))):
        stream.take(data)
    assert stream.usages[0]["prompt_tokens"] == len(ids)


async def test_answer_counts_as_many_tokens_as_it_names(frontend):
    answer = await frontend.chat(fresh(), max_tokens=20, temperature=0, logprobs=True, top_logprobs=0)
    assert answer.usage["completion_tokens"] == len(answer.logprobs)
    assert answer.usage["total_tokens"] == answer.usage["prompt_tokens"] + len(answer.logprobs)


def annotations(lines):
    """What comes before the answer: an event's name, and in a comment after it a text as JSON."""
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    texts = [json.loads(line.removeprefix(": ")) for line in lines if line.startswith(": ")]
    return dict(zip(names, texts, strict=True))


async def each(lines):
    """Lines as they come over a connection."""
    for line in lines:
        yield line
