"""Tables of the quality benchmark: means of each method, and ours against each of the others, with intervals over scenes."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from benchmarks.peers import OURS
from lib_softinpaint.generation.score import LEAST_EFFECT

BOOTSTRAPS = 1000

MISSED = "Missed: "
"""Begins a sentence on a goal that was missed."""

TRUTH_COLUMNS = {
    "CIEDE2000": lambda rows: _mean(rows, "ciede2000", 1),
    "halo L1": lambda rows: _mean(rows, "halo", 3),
    "gradient at edge": lambda rows: _mean(rows, "gradient_at_edge", 1),
    "half-eaten": lambda rows: f"{_values(rows, 'half_eaten').mean():.1%}",
    "change inside": lambda rows: _mean(rows, "effect", 1),
    "change beside it": lambda rows: _mean(rows, "ring_change", 1),
    "changed outside, px": lambda rows: f"{np.mean([row['outside_changed'] for row in rows]):.0f}",
    "object found": lambda rows: f"{_values(rows, 'found').mean():.0%}",
    f"effect >= {LEAST_EFFECT}": lambda rows: f"{np.mean([row['core_effect'] >= LEAST_EFFECT for row in rows]):.0%}",
    "CAM": lambda rows: _mean(rows, "cam"),
    "DAM": lambda rows: _mean(rows, "dam", 1)}
"""Cells by heading, where a truth is known or the literature has the figure."""

OWN_COLUMNS = {
    "blend score": lambda rows: _spread(rows, "blend_score"),
    "jump": lambda rows: _spread(rows, "jump"),
    "jump, painted edge": lambda rows: _mean(rows, "jump_painted"),
    "outline seen": lambda rows: f"{_values(rows, 'outline').mean():.0%}",
    "gradient ratio": lambda rows: _mean(rows, "gradient_ratio"),
    "foreign edges": lambda rows: _mean(rows, "foreign_edges", 1),
    "ghost": lambda rows: _mean(rows, "ghost", 3),
    "contrast kept": lambda rows: _mean(rows, "contrast_retention", 3),
    "core effect, median": lambda rows: f"{np.median(_values(rows, 'core_effect')):.2f}"}
"""Cells by heading, of scores that are our own."""


def truth_table(rows: list[dict]) -> str:
    """A Markdown table of each method's means where a truth is known."""
    return markdown_table(["method", *TRUTH_COLUMNS], (
        [method, *(column(own) for column in TRUTH_COLUMNS.values())] for method, own in _by_method(rows).items()))


def own_table(rows: list[dict]) -> str:
    """A Markdown table of each method's means of our own scores, and the number of scenes that it wins by blend score."""
    methods = _by_method(rows)
    winners = [max(methods, key=lambda method: _average(rows, scene, method)) for scene in {row["scene"] for row in rows}]
    return markdown_table(["method", *OWN_COLUMNS, "scenes won"], (
        [method, *(column(own) for column in OWN_COLUMNS.values()), f"{winners.count(method)}"]
        for method, own in methods.items()))


def _by_method(rows: list[dict]) -> dict[str, list[dict]]:
    return {method: [row for row in rows if row["method"] == method]
            for method in dict.fromkeys(row["method"] for row in rows)}


def table_by(rows: list[dict], *keys: str) -> str:
    """A Markdown table of each method's mean blend score, mean jump, median core effect, and changed pixels outside if any."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    groups = list(dict.fromkeys(tuple(row[key] for key in keys) for row in rows))
    lines = []
    for group in groups:
        cells = []
        for method in methods:
            own = [row for row in rows if tuple(row[key] for key in keys) == group and row["method"] == method]
            changed = np.mean([row["outside_changed"] for row in own])
            effect = np.median(_values(own, "core_effect"))
            cells.append(f"{_mean(own, 'blend_score', 0)} / {_mean(own, 'jump', 1)} / {effect:.2f}"
                         + (f" / {changed:.0f} px" if changed else ""))
        lines.append([", ".join(map(str, group)), *cells])
    return markdown_table([", ".join(keys), *methods], lines)


def comparisons(rows: list[dict]) -> str:
    """A Markdown table of our blend score against each peer's in equal runs, with 95 % intervals over scenes."""
    lines = []
    ours = {_pair_key(row): row["blend_score"] for row in rows if row["method"] == OURS}
    for method in dict.fromkeys(row["method"] for row in rows if row["method"] != OURS):
        differences: dict[str, list[float]] = {}
        for row in rows:
            if row["method"] == method:
                differences.setdefault(row["scene"], []).append(ours[_pair_key(row)] - row["blend_score"])
        median, median_range = over_scenes(differences, np.median)
        share, share_range = over_scenes(differences, lambda values: (values > 0).mean())
        count = sum(map(len, differences.values()))
        lines.append([method, f"{median:+.1f} ({median_range[0]:+.1f} to {median_range[1]:+.1f})",
                      f"{share:.0%} of {count} ({share_range[0]:.0%} to {share_range[1]:.0%})"])
    return markdown_table(["ours against", "median difference", "better in"], lines)


def over_scenes(values: Mapping[str, Sequence[float]],
                statistic: Callable[[np.ndarray], float]) -> tuple[float, tuple[float, float]]:
    """A statistic of the values of all scenes, and its 95 % interval by a bootstrap that draws whole scenes.

    Images of one scene are alike, so they are not drawn one by one.
    """
    groups, rng = [np.asarray(group) for group in values.values()], np.random.default_rng(0)
    drawn = [statistic(np.concatenate([groups[number] for number in rng.integers(len(groups), size=len(groups))]))
             for _ in range(BOOTSTRAPS)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(statistic(np.concatenate(groups))), (float(low), float(high))


def _pair_key(row: dict) -> tuple:
    return tuple(row[key] for key in ("scene", "task", "side", "area", "model", "sampler", "steps", "seed"))


def _average(rows: list[dict], scene: str, method: str) -> float:
    return float(np.mean([row["blend_score"] for row in rows if row["scene"] == scene and row["method"] == method]))


def _values(rows: list[dict], key: str) -> np.ndarray:
    values = np.array([row[key] for row in rows if row[key] is not None], float)
    return values[~np.isnan(values)]


def _mean(rows: list[dict], key: str, digits: int = 2) -> str:
    values = _values(rows, key)
    return f"{values.mean():.{digits}f}" if len(values) else ""


def _spread(rows: list[dict], key: str) -> str:
    values = _values(rows, key)
    return f"{values.mean():.1f} ± {values.std():.1f}" if len(values) else ""


def markdown_table(header: Sequence[str], lines: Iterable[Iterable[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *lines))
