"""Measures speed and image quality of ours and the peers.

    python3 softinpaint.py bench [speed | quality | masks | composites | sliders | presets | photos]
                                [--full [--tuning]] [--webui CHECKOUT] [--autoencoder FOLDER] [--photos FOLDER]

Without a name, it runs speed and quality. These write JSON and contact sheets to outputs/bench; the others only print.
The quick set of images takes under five minutes on two cores, the full set over an hour. An interrupted run resumes.
The exit status is 1 if a speed goal is missed.
"""
from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from benchmarks.machine import ROOT, facts

OUTPUT = ROOT / "outputs" / "bench"
TABLES = "masks", "composites", "sliders", "presets", "photos"
"""Benchmarks that only print tables."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="softinpaint.py bench", description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="?", choices=("speed", "quality", *TABLES), help="run only this one")
    parser.add_argument("--full", action="store_true", help="all scenes, seeds, samplers and steps")
    parser.add_argument("--tuning", action="store_true",
                        help="with --full: the scenes on which defaults are decided, not those that are reported")
    parser.add_argument("--webui", type=Path, metavar="CHECKOUT", help="also measure the built-in of this WebUI")
    parser.add_argument("--autoencoder", type=Path, metavar="FOLDER", help="for photos: taef2_encoder.pth, taef2_decoder.pth")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="for photos: also your own, of at least 1024 px")
    options = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    environment = facts()
    print(", ".join(f"{name} {fact}" for name, fact in environment.items()) + "\n")
    missed: list[str] = []
    if options.table in TABLES:
        bench = importlib.import_module(f"benchmarks.{options.table}")
        arguments = (options.autoencoder, options.photos) if options.table == "photos" else ()
        for table in bench.tables(*arguments):
            print(f"{table}\n", flush=True)
        if options.table == "composites":
            bench.sheet().convert("RGB").save(OUTPUT / "composites.jpg", quality=88)
            print(f"wrote {(OUTPUT / 'composites.jpg').relative_to(ROOT)}")
        return 0
    if options.table != "quality":
        from benchmarks import speed
        figures, missed = speed.bench(options.webui)
        _write("speed", {**environment, **figures})
    if options.table != "speed":
        from benchmarks import quality
        name = "tuning" if options.tuning else "full" if options.full else "quick"
        _write(f"quality-{name}", {**environment, **quality.bench(options.full, OUTPUT / name, options.tuning, options.webui)})
    for goal in missed:
        print(f"Missed: {goal}.")
    return 1 if missed else 0


def _write(name: str, figures: dict) -> None:
    file = OUTPUT / f"{name}.json"
    file.write_text(json.dumps(figures, indent=1, default=float) + "\n")
    print(f"wrote {file.relative_to(ROOT)}\n")


if __name__ == "__main__":
    sys.exit(main())
