"""Prompts are read as in AUTOMATIC1111 1.10.1, compared with a record and with a WebUI checkout."""
import json
import subprocess
from pathlib import Path

import pytest

from lib_softinpaint.errors import BadInput
from lib_softinpaint.settings import prompt
from lib_softinpaint.settings.prompt import BREAK, Network
from tests.contract import prompts
from tests.webui import family

RECORDED = json.loads(prompts.RECORD.read_text(encoding="utf8"))


@pytest.mark.parametrize("text", prompts.PROMPTS)
def test_weights_are_those_of_the_webui(text):
    assert prompt.weighted(text) == [tuple(piece) for piece in RECORDED["weighted"][text]]


@pytest.mark.parametrize("text", prompts.CHANGING)
def test_prompts_that_change_while_sampling_are_found(text):
    assert prompt.changes_while_sampling(text) == RECORDED["changing"][text]


@pytest.mark.parametrize("text", prompts.LONG)
def test_long_prompts_are_cut_where_the_webui_cuts_them(text):
    pieces = [None if piece == BREAK else (prompts.tokens(piece[0]), piece[1]) for piece in prompt.weighted(text)]
    cut = prompt.chunks(pieces, prompts.COMMA)
    assert cut == [[tuple(token) for token in chunk] for chunk in RECORDED["chunks"][text]]
    assert max(map(len, cut)) <= prompt.CHUNK_TOKENS


def test_a_webui_checkout_reads_prompts_as_recorded():
    automatic1111 = family.a1111()
    if automatic1111 is None:
        pytest.skip("SOFTINPAINT_WEBUI names no AUTOMATIC1111")
    done = subprocess.run([automatic1111.python, "-m", "tests.contract.prompts", automatic1111.checkout],
                          capture_output=True, text=True, encoding="utf8", cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == RECORDED


@pytest.mark.parametrize(("text", "plain"), [
    ("a house, red", "a house, red"), (r"\(a\)", "(a)"), ("(a:1.0)", "a"), ("(a)", None), ("a BREAK b", None), ("", "")])
def test_a_prompt_without_weights_is_text(text, plain):
    assert prompt.plain_text(text) == plain


@pytest.mark.parametrize(("text", "rest", "networks"), [
    ("a <lora:x> b", "a  b", [Network("x")]), ("<lora:my style:0.5>", "", [Network("my style", 0.5, 0.5)]),
    ("<lora:x:0.5:0.25><lyco:y:te=2>", "", [Network("x", 0.5, 0.25), Network("y", 2, 2)]),
    ("<lora:x:te=0.5:unet=1>", "", [Network("x", 0.5, 1)]), ("a < b > c, <x>", "a < b > c, <x>", [])])
def test_extra_networks(text, rest, networks):
    assert prompt.networks(text) == (rest, networks)


@pytest.mark.parametrize(("text", "negative", "sentence"), [
    ("a [b:c:0.5]", "", "the prompt must stay the same in all steps"),
    ("a", "[b|c]", "the negative prompt must stay the same in all steps"),
    ("a AND b", "", "the prompt must be one: AND between prompts"),
    ("<hypernet:x:1>", "", "must be <lora:name:weight>, got <hypernet:x:1>"),
    ("<lora:x:much>", "", "got <lora:x:much>"), ("<lora:x:nan>", "", "got <lora:x:nan>"),
    ("<lora:x:1:1:8>", "", "got <lora:x:1:1:8>"), ("(a:1.2.3)", "", "a weight in the prompt must be a number, got '1.2.3'")])
def test_an_unsupported_prompt_is_rejected_with_one_sentence(text, negative, sentence):
    with pytest.raises(BadInput, match="^[^\n]*$") as refused:
        prompt.demand_supported(text, negative)
    assert sentence in str(refused.value)


def test_and_is_a_word_in_a_negative_prompt_and_within_words():
    prompt.demand_supported("sand, BAND, and", "a AND b")


@pytest.mark.parametrize(("text", "weight", "named"), [
    ("a house", None, "a house <lora:x:1>"), ("", 0.5, "<lora:x:0.5>"), ("a <lora:x:0.3>", None, "a <lora:x:0.3>"),
    ("a <lora:x:0.3> b <lora:y:1>", 0.8, "a  b <lora:y:1> <lora:x:0.8>")])
def test_a_lora_is_named_once(text, weight, named):
    assert prompt.with_lora(text, "x", weight) == named


@pytest.mark.parametrize(("text", "parts", "note"), [
    ("a", ["a", "a"], ""), ("a [SEP] b", ["a", "b"], ""), ("a[SEP]", ["a", "a"], ""), ("[SEP] b", ["", "b"], ""),
    ("a [SEP] b [SEP] c [SEP] d", ["a", "b"],
     "The prompt has parts for 4 regions, but the mask has 2; the last 2 were not used.")])
def test_each_region_has_its_part_of_the_prompt_or_the_one_before(text, parts, note):
    notes = []
    assert prompt.of_regions(text, 2, notes) == parts
    assert notes == ([note] if note else [])
