"""Other people's extensions that the tests run with: checkouts in the folder that SOFTINPAINT_EXTENSIONS names."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

ADETAILER, ADETAILER_NEO, CONTROLNET, ULTIMATE_UPSCALE, DISTRIBUTED, CYANIC, OPENOUTPAINT = (
    "adetailer", "ADetailer-Neo", "sd-webui-controlnet", "ultimate-upscale-for-automatic1111",
    "stable-diffusion-webui-distributed", "cyanic-sd-krita", "openOutpaint")
"""Names of the subfolders: those of the extensions' repositories."""

PACKAGES = "packages"
"""Subfolder with Python packages that the extensions need and a WebUI lacks, as `pip install --target` leaves them."""


def folder() -> Path | None:
    return Path(path).resolve() if (path := os.environ.get("SOFTINPAINT_EXTENSIONS")) else None


def checkout(name: str) -> Path:
    """An extension's checkout. Skips the test if there is none."""
    path = folder()
    if path is None:
        pytest.skip("SOFTINPAINT_EXTENSIONS names no folder")
    if not (path / name).is_dir():
        pytest.skip(f"SOFTINPAINT_EXTENSIONS has no {name}")
    return path / name


def python_path() -> str:
    """PYTHONPATH of a WebUI with these extensions."""
    return str(folder() / PACKAGES) if folder() else ""
