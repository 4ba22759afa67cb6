"""What a run of the benchmarks measures."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ROOT

OUTPUT = ROOT / "outputs" / "bench"


@dataclass(frozen=True)
class Options:
    """Options of the command line.

    full, tuning
        All scenes, samplers and sizes instead of a few; of those on which defaults are decided.
    webui
        Checkout of a WebUI, whose built-in is measured too.
    autoencoder
        Folder with taef2_encoder.pth and taef2_decoder.pth.
    photos
        Folder with the user's own photographs.
    """

    full: bool = False
    tuning: bool = False
    webui: Path | None = None
    autoencoder: Path | None = None
    photos: Path | None = None
