"""The user's own presets, in the WebUI's data folder."""
from __future__ import annotations

from pathlib import Path

from modules import paths

from lib_softinpaint.settings.presets import PRESETS_FILE, PresetFile


def own_presets() -> PresetFile:
    return PresetFile(Path(paths.data_path) / PRESETS_FILE)
