"""Infotext: the text with prompts and settings that the WebUI saves in its images."""
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PAIR = re.compile(r'\s*([^:,"]+):\s*("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')
_FEWEST_PAIRS = 3  # as in the WebUI: a last line with fewer belongs to the prompt


def dump(params: Mapping[str, Any]) -> str:
    """Infotext as the WebUI writes it: the prompts, then one line of keys and values."""
    pairs = [f"{key}: {_quoted(str(value))}" for key, value in params.items() if key not in ("Prompt", "Negative prompt")]
    negative = params.get("Negative prompt")
    lines = [params.get("Prompt", ""), *([f"Negative prompt: {negative}"] if negative else []), ", ".join(pairs)]
    return "\n".join(lines).strip()


def parse(text: str) -> dict[str, str]:
    """Keys and values of an infotext, including "Prompt" and "Negative prompt"."""
    *lines, last = text.strip().split("\n")
    pairs = _PAIR.findall(last)
    if len(pairs) < _FEWEST_PAIRS:
        lines, pairs = [*lines, last], []
    prompt, _, negative = "\n".join(["", *(line.strip() for line in lines)]).partition("\nNegative prompt:")
    return {"Prompt": prompt.strip(), "Negative prompt": negative.strip(),
            **{key.strip(): _unquoted(value.strip()) for key, value in pairs}}


def is_infotext(text: str) -> bool:
    """Whether this text is infotext from the WebUI or a compatible program, and not, say, a camera's comment."""
    return "Steps" in parse(text)


def replaced(text: str, values: Mapping[str, Any]) -> str:
    """The infotext with some values replaced and all else unchanged; new keys are added at the end."""
    before, newline, last = text.strip().rpartition("\n")
    remaining = dict(values)
    pieces, reached = [before + newline], 0
    for pair in _PAIR.finditer(last):
        key = pair.group(1).strip()
        if key in remaining:
            pieces += [last[reached:pair.start(2)], _quoted(str(remaining.pop(key)))]
            reached = pair.end(2)
    added = [f"{key}: {_quoted(str(value))}" for key, value in remaining.items()]
    return "".join(pieces) + ", ".join([*([last[reached:]] if last[reached:] else []), *added])


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(sign in value for sign in ",:\n") else value


def _unquoted(value: str) -> str:
    try:
        return str(json.loads(value)) if value.startswith('"') else value
    except json.JSONDecodeError:
        return value
