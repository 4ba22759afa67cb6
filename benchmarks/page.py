"""The tables in docs/benchmarks.md. The text around them is written by hand."""
from __future__ import annotations

from collections.abc import Sequence

from benchmarks.machine import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def put(name: str, tables: Sequence[str]) -> None:
    """Puts a benchmark's tables between its two marks in the page. A benchmark without marks is left out."""
    page, (begin, end) = PAGE.read_text(encoding="utf8"), (f"<!-- {mark} {name} -->" for mark in ("begin", "end"))
    before, found, rest = page.partition(begin)
    if found:
        PAGE.write_text("\n\n".join([before + begin, *tables, end + rest.partition(end)[2]]), encoding="utf8")
