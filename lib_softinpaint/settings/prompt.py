"""Prompts in the WebUI's syntax: weights, breaks, chunks and extra networks. Needs no model.

Source: the results of AUTOMATIC1111 1.10.1 for the same prompts, recorded in tests/contract/prompts_1_10_1.json.
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, MutableSequence, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_softinpaint.errors import BadInput

BREAK = ("BREAK", -1.0)
"""The piece of a prompt that ends a chunk."""

ROUND_WEIGHT = 1.1
"""Factor of a pair of round brackets; a pair of square brackets divides by it."""

CHUNK_TOKENS = 75
"""Tokens that CLIP reads at once, without its start and end tokens."""

COMMA_TOKENS = 20
"""A full chunk ends at its last comma if at most this many tokens come from that comma on."""

REGION_END = "[SEP]"
"""Separates the prompts of regions. Source: the sign is that of ADetailer and of Impact Pack's detailer."""

LORA = ("lora", "lyco")
"""Names of extra networks that mean a LoRA."""

LORA_FOLDER = Path("models/Lora")
"""Folder of LoRA files, relative to the current folder; named as in the WebUI."""

_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_SIGN = re.compile(r"""
    (?P<escaped> \\[()\[\]\\] ) |
    (?P<weight> :\s*(?P<number>[+-]?[.\d]+)\s*\) ) |
    (?P<bracket> [()\[\]] ) |
    (?P<text> [^\\()\[\]:]+ | [\\:] )""", re.VERBOSE)
_NETWORK = re.compile(r"<(\w+):([^>]+)>")
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")


@dataclass(frozen=True)
class Network:
    """A LoRA in a prompt, with its weights for the text encoder and the UNet."""

    name: str
    text_encoder: float = 1.0
    unet: float = 1.0


# Weights

def weighted(prompt: str) -> list[tuple[str, float]]:
    """The pieces of a prompt with their weights, including `BREAK`; neighbours differ in weight.

    `(a)` weighs 1.1, `(a:1.3)` 1.3, `[a]` 1 / 1.1. A bracket that is never closed reaches to the end. A closing bracket
    without an opening one is text, and so is any bracket after a backslash. Raises BadInput if a weight is not a number.
    """
    pieces: list[list] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def close(bracket: str, factor: float) -> None:
        for piece in pieces[opened[bracket].pop():]:
            piece[1] *= factor

    for sign in _SIGN.finditer(prompt):
        text = sign.group()
        if sign["escaped"]:
            pieces.append([text[1], 1.0])
        elif text in opened:
            opened[text].append(len(pieces))
        elif sign["weight"] and opened["("]:
            close("(", _number(sign["number"]))
        elif text == ")" and opened["("]:
            close("(", ROUND_WEIGHT)
        elif text == "]" and opened["["]:
            close("[", 1 / ROUND_WEIGHT)
        elif text == "\\":
            pieces.append(["", 1.0])
        else:
            first, *others = _BREAK.split(text)
            pieces.append([first, 1.0])
            for other in others:
                pieces += [list(BREAK), [other, 1.0]]
    for bracket, factor in (("(", ROUND_WEIGHT), ("[", 1 / ROUND_WEIGHT)):
        for _ in range(len(opened[bracket])):
            close(bracket, factor)
    return _merged(pieces)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as fault:
        raise BadInput(f"a weight in the prompt must be a number, got {text!r}") from fault


def _merged(pieces: list[list]) -> list[tuple[str, float]]:
    merged = [("", 1.0)] if not pieces else []
    for text, weight in pieces:
        if merged and merged[-1][1] == weight:
            merged[-1] = (merged[-1][0] + text, weight)
        else:
            merged.append((text, weight))
    return merged


def plain_text(prompt: str) -> str | None:
    """The text of a prompt, or None if it has weights or breaks."""
    pieces = weighted(prompt)
    return pieces[0][0] if len(pieces) == 1 and pieces[0][1] == 1 else None


# Chunks

def chunks(pieces: Iterable[tuple[Sequence[int], float] | None], comma: int | None) -> list[list[tuple[int, float]]]:
    """Tokens with their weights, at most 75 in each chunk.

    Parameters
    ----------
    pieces
        Tokens and weight of each piece; None for a break.
    comma
        The tokenizer's token for a comma. A chunk ends there to keep a short clause together.
    """
    finished: list[list[tuple[int, float]]] = []
    current: list[tuple[int, float]] = []
    clause = 0
    """Start of the tokens after the chunk's last comma; 0 if it has none."""
    for piece in pieces:
        if piece is None:
            finished.append(current)
            current, clause = [], 0
            continue
        tokens, weight = piece
        for token in tokens:
            if len(current) == CHUNK_TOKENS:
                keep = clause if token != comma and clause and CHUNK_TOKENS - clause < COMMA_TOKENS else CHUNK_TOKENS
                finished.append(current[:keep])
                current, clause = current[keep:], 0
            current.append((token, weight))
            if token == comma:
                clause = len(current)
    return [*finished, current] if current or not finished else finished


# What a single run on diffusers cannot do

def demand_supported(prompt: str, negative_prompt: str) -> None:
    """Raises BadInput for syntax that would silently be read as text: AND, prompts that change in a run, hypernetworks."""
    for name, text in (("prompt", prompt), ("negative prompt", negative_prompt)):
        if changes_while_sampling(text):
            raise BadInput(f"the {name} must stay the same in all steps: [from:to:when] and [one|other] only work in the "
                           "WebUI; write \\[ for a literal bracket")
        weighted(text)
    if re.search(r"\bAND\b", prompt):
        raise BadInput("the prompt must be one: AND between prompts only works in the WebUI; write 'and' for the word")
    networks(prompt)


def changes_while_sampling(prompt: str) -> bool:
    """Whether the WebUI would find `[from:to:when]` or `[one|other]` in the prompt."""
    text = re.sub(r"\\.", "__", prompt)
    if "\\" in text:  # a final backslash: the WebUI then reads the whole prompt as text
        return False
    frames: list[_Bracket] = []
    found, bars_read = False, 0
    for place, sign in enumerate(text):
        if sign in "([":
            frames.append(_Bracket(sign))
        elif sign in ":|" and frames:
            frames[-1].signs += sign
            frames[-1].last = place
        elif sign in ")]" and frames:
            frame = frames.pop()
            signs, when = set(frame.signs), text[frame.last + 1:place]
            alternating = frame.opened == "[" and signs == {"|"}
            scheduled = frame.opened == "[" and frame.signs in (":", "::") and bool(_NUMBER.fullmatch(when))
            whole = alternating or scheduled or frame.signs == "" or frame.opened + frame.signs == "(:"
            if frame.opened + sign not in ("()", "[]") or not whole:
                frames.clear()  # brackets around malformed syntax are text
                continue
            found |= alternating or scheduled
            bars_read += frame.signs.count("|") if alternating else 0
    return found and bars_read == text.count("|")  # with a bar anywhere else the WebUI reads it all as text


@dataclass
class _Bracket:
    opened: str
    signs: str = ""
    last: int = 0


# Regions

def of_regions(prompt: str, count: int, notes: MutableSequence[str]) -> list[str]:
    """The prompt of each of `count` regions, in their order. One without a prompt of its own has the one before it.

    Notes prompts for which there is no region.
    """
    found: list[str] = []
    parts = [part.strip() for part in prompt.split(REGION_END)]
    for number in range(count):
        own = parts[number] if number < len(parts) else ""
        found.append(own or (found[-1] if found else ""))
    if len(parts) > count:
        notes.append(f"The prompt has parts for {len(parts)} regions, but the mask has {count}; the last "
                     f"{len(parts) - count} were not used.")
    return found


# Extra networks

def networks(prompt: str) -> tuple[str, list[Network]]:
    """The prompt without its extra networks, and the networks in order.

    Reads `<lora:name>`, `<lora:name:weight>` and `<lora:name:of text encoder:of UNet>`, also with `te=` and `unet=`.
    Raises BadInput for other networks and for weights that are not numbers.
    """
    return _NETWORK.sub("", prompt), [_network(found[1], found[2], found[0]) for found in _NETWORK.finditer(prompt)]


def _network(network_type: str, arguments: str, written: str) -> Network:
    if network_type not in LORA:
        raise BadInput(f"an extra network in the prompt must be <lora:name:weight>, got {written}")
    name, *others = arguments.split(":")
    named = dict(argument.split("=", 1) for argument in others if "=" in argument)
    weights = [argument for argument in others if "=" not in argument]
    try:
        text_encoder = float(named.get("te", weights[0] if weights else 1))
        unet = float(named.get("unet", weights[1] if len(weights) > 1 else text_encoder))
        if len(weights) > 2 or named.keys() - {"te", "unet"} or not math.isfinite(text_encoder + unet):
            raise ValueError
    except ValueError as fault:
        raise BadInput(f"an extra network in the prompt must be <lora:name:weight>, got {written}") from fault
    return Network(name, text_encoder, unet)


def with_lora(prompt: str, name: str, weight: float | None) -> str:
    """The prompt with this LoRA once: with this weight, or if None with the weight it already has, or 1."""
    mentions = [found for found in _NETWORK.finditer(prompt) if found[1] in LORA and found[2].split(":")[0] == name]
    if mentions and weight is None:
        return prompt
    for found in reversed(mentions):
        prompt = prompt[:found.start()] + prompt[found.end():]
    return f"{prompt.rstrip()} <lora:{name}:{1 if weight is None else weight:g}>".lstrip()
