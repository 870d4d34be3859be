"""Prompts: unique from the first word on, and long enough where they have to be."""

import pytest

from deployment.prompts import fresh, long_prefix

pytestmark = [pytest.mark.pre_merge, pytest.mark.unit, pytest.mark.gpu_0]


def test_no_two_prompts_share_a_beginning():
    prompts = [fresh() for _ in range(100)]
    assert len({prompt[:8] for prompt in prompts}) == 100


@pytest.mark.parametrize("words", [0, 1, 30])
def test_a_prompt_has_as_many_words_as_asked_for(words):
    assert len(fresh(words).split()) == words + 1


def test_a_long_prefix_fills_several_blocks_of_64_tokens_at_a_token_a_word():
    assert len(long_prefix().split()) > 60
