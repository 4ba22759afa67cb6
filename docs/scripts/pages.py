"""The repository's pages in Markdown: their links, anchors and code blocks."""
from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
"""A link or image: "!", text and target."""
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def pages() -> list[Path]:
    """Every page that a reader of the repository or of the site may open."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "demo").rglob("*.md")]


def links_of(markdown: str) -> list[str]:
    """Targets of all links and images outside code."""
    return [target for _, _, target in LINK.findall(CODE.sub("", markdown))]


def anchors_of(markdown: str) -> set[str]:
    """Anchors of the headings, as GitHub and the site make them."""
    headings = HEADING.findall(BLOCK.sub("", markdown))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def blocks_of(markdown: str, language: str) -> list[str]:
    """The fenced code blocks in a language, in the page's order."""
    return [text for name, text in BLOCK.findall(markdown) if name == language]
