"""Measures speed and image quality of ours and the peers.

    python3 softinpaint.py bench [NAME ...] [--full [--tuning]] [--webui CHECKOUT] [--autoencoder FOLDER] [--photos FOLDER]
                                 [--page]

Without a name it runs speed and quality, and "all" runs everything. Tables are printed, and contact sheets and all figures are
written to outputs/bench. The quick set of images takes under five minutes on two cores, the full set over an hour. An
interrupted run resumes. The exit status is 1 if a speed goal is missed.
"""
from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks import page
from benchmarks.machine import facts
from benchmarks.options import OUTPUT, Options
from benchmarks.tables import MISSED

NAMES = ("quality", "coherence", "content", "photos", "composites", "judged", "sliders", "presets", "few_steps", "rounds",
         "masks", "speed")
"""Modules, each with a function `tables`."""
USUAL = "speed", "quality"
ALL = "all"


def main() -> int:
    parser = argparse.ArgumentParser(prog="softinpaint.py bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=(*NAMES, ALL, []), metavar="NAME", help=", ".join((*NAMES, ALL)))
    parser.add_argument("--full", action="store_true", help="all scenes, samplers and sizes")
    parser.add_argument("--tuning", action="store_true",
                        help="with --full: the scenes on which defaults are decided, not those that are reported")
    parser.add_argument("--webui", type=Path, metavar="CHECKOUT", help="also measure the built-in of this WebUI")
    parser.add_argument("--autoencoder", type=Path, metavar="FOLDER", help="for photos: taef2_encoder.pth, taef2_decoder.pth")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="for photos: also your own, of at least 1024 px")
    parser.add_argument("--page", action="store_true", help="put the tables into docs/benchmarks.md")
    chosen = vars(parser.parse_args())
    names, to_page = chosen.pop("names") or USUAL, chosen.pop("page")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    environment = ", ".join(f"{name} {fact}" for name, fact in facts().items())
    print(f"{environment}\n")
    missed = False
    for name in NAMES if ALL in names else names:
        tables = []
        for table in importlib.import_module(f"benchmarks.{name}").tables(Options(**chosen)):
            print(f"{table}\n", flush=True)
            tables.append(table)
            missed |= table.startswith(MISSED)
        if to_page:
            page.put(name, [f"Measured: {environment}.", *tables])
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
