"""How the host reads prompts, from its own parser and text encoder.

    HOST_PYTHON -m tests.contract.prompts CHECKOUT                 prints the record, to update it
    HOST_PYTHON -m tests.contract.prompts CHECKOUT MODEL FILE.npz  writes embeddings
"""
from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

RECORD = Path(__file__).parent / "prompts_1_10_1.json"

PROMPTS = (
    "a house", "(a)", "(a:1.2)", "[a]", "an (important) word", r"\(literal\] and \\ and \x", "(unbalanced", "un)bal]anced",
    "(unnecessary)(parens)", "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", "", "a BREAK b",
    "a\nBREAK\nb BREAK BREAK c", "BREAK", "(a BREAK b:1.2)", "(red, (blue:0.5) [green (x)]:1.4), tail",
    "ratio 16:9, time: 5", "(a:-1.0) (b: 1.5 ) (c:+2)", "[[[faint]]] ((strong))", "((a:1.1)", "(a [b) c]",
    "snow, 雪 (山:1.3), café", r"masterpiece, (best quality:1.4), 1girl, \(series\), [lowres]", "(a:b:1.5)", "(:1.5)",
    "()[]", "breakBREAKbreak BREAK, x", "a :1.2) b", "[faint", "a] [b [c", "a (b [c:1.2) d")
CHANGING = (
    "[a:b:0.5]", "[a:0.5]", "[a|b]", "[a:b:c:1]", "[a:b]", "(x [a|b] y:1.2)", "[a:b:1", "a|b", "(a|b)", "[x:(y:1.2):3]",
    "[(a:1.2)]", "[a : : 5 ]", "[:5]", r"\[a|b\]", r"[a\|b]", "[a:b:-2]", "[(a|b)]", "[a:b(c:5]", "[a:b:1.5.2]", "[a:b:1e3]",
    "[[a:b:5]|c]", "[a]:5]", "[a:5)]", "[a:(b:5]", "(a:b) [c:d:2]",
    "[a [b:c:d:e] f:0.5]", "[a [b] c:0.5]", "[(a:b:c) d:0.5]", "[(a:b) c:0.5]", "a [b|c] \\")
LONG = ("", "a " * 75, "a " * 76, "a " * 160, "a, " * 40, "a " * 60 + ", " + "b " * 30, "a " * 54 + ", " + "b " * 30,
        "a " * 55 + ", " + "b " * 30, "a " * 74 + ", b", "a " * 75 + ", b", "(" + "a " * 60 + ":1.2), " + "b " * 30,
        "a BREAK " + "b " * 80, "BREAK", "BREAK a BREAK")

ENCODED = (
    ("an orange tree", 1), (r"(orange:1.4) [tree] BREAK \(night\)", 1),
    ("an orange tree, a meadow, " * 15 + "(a moon:1.3)", 1), ("an orange tree", 2),
    ("(a:2) (red house:0.3), (((lake)))", 2), ("", 1))
"""Prompt and clip skip."""

COMMA = 1


def tokens(text: str) -> list[int]:
    """A token for each comma and each word, by its first letter."""
    return [COMMA if word == "," else ord(word[0]) for word in re.findall(r"\w+|,", text)]


def host(checkout: Path) -> tuple[Any, Any, Any, Any]:
    """The host's prompt parser and text encoder modules, with stand-ins for its options and its model hijack."""
    sys.path.insert(0, str(checkout))
    options = SimpleNamespace(emphasis="Original", comma_padding_backtrack=20, CLIP_stop_at_last_layers=1,
                              textual_inversion_add_hashes_to_infotext=False, use_old_emphasis_implementation=False)
    embeddings = SimpleNamespace(find_embedding_at_position=lambda tokens, place: (None, None))
    hijack = SimpleNamespace(embedding_db=embeddings, extra_generation_params={}, fixes=None)
    devices = SimpleNamespace(device="cpu", torch_npu_set_device=lambda: None)
    package = importlib.import_module("modules")  # the checkout's
    for name, stand_in in {"sd_hijack": SimpleNamespace(model_hijack=hijack), "devices": devices,
                           "shared": SimpleNamespace(opts=options)}.items():
        sys.modules[f"modules.{name}"] = stand_in
        setattr(package, name, stand_in)
    parser, clip = (importlib.import_module(f"modules.{name}") for name in ("prompt_parser", "sd_hijack_clip"))
    return parser, clip, options, hijack


def read(checkout: Path) -> dict:
    """Weights, changes and chunks of the prompts above, from the host."""
    prompt_parser, sd_hijack_clip, _, _ = host(checkout)
    model = sd_hijack_clip.TextConditionalModel()
    model.comma_token, model.id_start, model.id_end = COMMA, "start", "end"
    model.tokenize = lambda texts: [tokens(text) for text in texts]

    def chunks(prompt: str) -> list[list]:
        found, _ = model.tokenize_line(prompt)
        return [[[token, weight] for token, weight in zip(chunk.tokens, chunk.multipliers) if token not in ("start", "end")]
                for chunk in found]

    def changes(prompt: str) -> bool:
        try:
            tree = prompt_parser.schedule_parser.parse(prompt)
        except prompt_parser.lark.exceptions.LarkError:
            return False
        return any(part.data in ("scheduled", "alternate") for part in tree.iter_subtrees())

    return {"weighted": {prompt: prompt_parser.parse_prompt_attention(prompt) for prompt in PROMPTS},
            "changing": {prompt: changes(prompt) for prompt in CHANGING},
            "chunks": {prompt: chunks(prompt) for prompt in LONG}}


def encode(checkout: Path, model: Path, target: Path) -> None:
    """Writes the host's embeddings of ENCODED, for an SD1 model in the diffusers layout."""
    import numpy as np
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer

    _, sd_hijack_clip, options, hijack = host(checkout)
    parts = SimpleNamespace(tokenizer=CLIPTokenizer.from_pretrained(model / "tokenizer"),
                            transformer=CLIPTextModel.from_pretrained(model / "text_encoder").float().eval())
    encoder = sd_hijack_clip.FrozenCLIPEmbedderWithCustomWords(parts, hijack)
    embeddings = []
    for prompt, clip_skip in ENCODED:
        options.CLIP_stop_at_last_layers = clip_skip
        with torch.no_grad():
            embeddings.append(encoder([prompt])[0].numpy())
    np.savez(target, *embeddings)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        encode(*map(Path, sys.argv[1:]))
    else:
        print(json.dumps(read(Path(sys.argv[1])), ensure_ascii=False))
