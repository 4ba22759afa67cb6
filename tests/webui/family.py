"""The WebUIs that the tests run against: what each is, and how it starts on a CPU without downloads."""
from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

AUTOMATIC1111, FORGE, NEO, REFORGE, CLASSIC = "AUTOMATIC1111", "Forge", "Forge Neo", "reForge", "Forge Classic"

MARKS = {REFORGE: "modules/sd_samplers_kdiffusion_smea.py", NEO: "modules_forge/packages", FORGE: "backend",
         CLASSIC: "ldm_patched", AUTOMATIC1111: "modules"}
"""A path that identifies each host. The first one found decides."""

COMMON_FLAGS = ("--skip-prepare-environment", "--skip-torch-cuda-test", "--skip-python-version-check", "--skip-version-check",
                "--skip-install", "--disable-console-progressbars", "--api")
FLAGS = {
    AUTOMATIC1111: ("--use-cpu", "all", "--precision", "full", "--no-half", "--do-not-download-clip",
                    "--no-download-sd-model"),
    FORGE: ("--always-cpu", "--all-in-fp32"),
    NEO: ("--cpu", "--force-fp32"),
    REFORGE: ("--use-cpu", "all", "--precision", "full", "--no-half", "--do-not-download-clip", "--no-download-sd-model",
              "--always-cpu", "--all-in-fp32", "--clip-in-fp32", "--vae-in-fp32"),
    CLASSIC: ("--use-cpu", "all", "--no-half", "--no-download-sd-model", "--always-cpu", "--all-in-fp32", "--clip-in-fp32",
              "--vae-in-fp32")}

OPTIONS = dict.fromkeys((REFORGE, CLASSIC), {"show_progress_type": "Approx cheap"})
"""Settings that keep a host from downloading a model."""

NEO_VERSION = "VERSION_UID"
"""Forge Neo asks in its console about a config.json whose value for this is not its own."""


@dataclass(frozen=True)
class Host:
    """One WebUI of the family.

    Parameters
    ----------
    checkout
    python
        The Python in which the host's requirements are installed.
    name, version
    """

    checkout: Path
    python: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def folder(self) -> str:
        """Name for files."""
        return re.sub(r"\W+", "-", self.name.lower())

    @property
    def flags(self) -> tuple[str, ...]:
        # With a data folder elsewhere, Gradio 4 does not serve the WebUI's own scripts by default.
        serving = ("--gradio-allowed-path", str(self.checkout)) if self.has_forge_canvas else ()
        return (*COMMON_FLAGS, *FLAGS[self.name], *serving)

    @property
    def has_forge_canvas(self) -> bool:
        return self.name in (FORGE, NEO)

    @property
    def options(self) -> dict[str, Any]:
        """Settings without which the host does not start here."""
        if self.name == NEO:
            source = (self.checkout / "modules" / "launch_utils.py").read_text(encoding="utf8")
            return {NEO_VERSION: re.search(rf'^{NEO_VERSION}\b.*= "(.+)"', source, re.MULTILINE)[1]}
        return OPTIONS.get(self.name, {})

    def models(self, first: Path) -> tuple[str | Path, ...]:
        """Flags for the folder of models and the first to load. Forge Neo cannot be told which."""
        return ("--ckpt-dirs", first.parent) if self.name == NEO else ("--ckpt-dir", first.parent, "--ckpt", first)


@lru_cache(maxsize=1)
def hosts() -> tuple[Host, ...]:
    """The checkouts that SOFTINPAINT_WEBUI names, separated as in PATH. Their Pythons: SOFTINPAINT_WEBUI_PYTHON, in the same
    order, or each checkout's venv."""
    checkouts = [Path(path).resolve() for path in _paths("SOFTINPAINT_WEBUI")]
    pythons = _paths("SOFTINPAINT_WEBUI_PYTHON")
    if pythons and len(pythons) != len(checkouts):
        raise ValueError("SOFTINPAINT_WEBUI_PYTHON must name one Python for each checkout of SOFTINPAINT_WEBUI: "
                         f"{len(checkouts)}, got {len(pythons)}.")
    return tuple(host_at(checkout, python) for checkout, python in zip(checkouts, pythons or [""] * len(checkouts)))


def a1111() -> Host | None:
    """The AUTOMATIC1111 among them."""
    return next((host for host in hosts() if host.name == AUTOMATIC1111), None)


def _paths(variable: str) -> list[str]:
    return [path for path in os.environ.get(variable, "").split(os.pathsep) if path]


def _python(checkout: Path) -> str:
    inside = checkout / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return str(inside if inside.exists() else sys.executable)


def host_at(checkout: Path, python: str = "") -> Host:
    """The WebUI in a folder, by default with the Python of its own venv."""
    if not (checkout / "modules").is_dir():
        raise ValueError(f"SOFTINPAINT_WEBUI must name folders of a WebUI, got {checkout}.")
    name = next(name for name, mark in MARKS.items() if (checkout / mark).exists())
    if name == AUTOMATIC1111:
        version = (checkout / "CHANGELOG.md").read_text(encoding="utf8").split(maxsplit=2)[1]
    else:
        text = (checkout / "modules_forge" / "forge_version.py").read_text(encoding="utf8")
        version = re.findall(r"""["']([^"']+)["']""", text)[-1]
    return Host(checkout, python or _python(checkout), name, version)
